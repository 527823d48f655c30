#ifndef CALOCC_TAP_SUM_H_
#define CALOCC_TAP_SUM_H_

#include "calocc_types.h"

namespace nnet {

// What is left of a convolution over repeated pixels along an axis, when the products of each pixel
// with all taps are there.
//
// in:  (n_outer, length, inner, n_chan, n_taps), n_taps * P lanes
// out: (n_outer, n_out, inner, n_chan), P lanes (divides n_chan) of each of n_pixels outputs; where
//      there are several, inner is 1, and outputs beyond n_out may be anything
//
// Tap k of output o is that of pixel (o * stride + k * dilation + start) / factor, rounded down,
// with start = first_pixel * factor + first_copy, and 0 if there is no such pixel.
//
// CONFIG_T: n_outer, length, n_out, inner, n_chan, n_pixels, n_taps, factor, stride, dilation,
// first_pixel (an int), first_copy, span, steps, accum_t, and `epilogue::apply(const accum_t &,
// channel)`, which returns an element of the output. `span` pixels reach from the oldest one that
// outputs need to the newest one that has come; `steps` are needed for each of n_outer rows.
//
// n_outer * steps * inner * n_chan / P iterations. A step takes a pixel, unless the next outputs
// have all they need, and gives them if they have; when all have left, the pixels come that nobody
// reads.
template <class in_T, class out_T, typename CONFIG_T>
void tap_sum(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    typedef typename CONFIG_T::accum_t accum_t;
    const unsigned K = CONFIG_T::n_taps;
    const unsigned F = CONFIG_T::factor;
    const unsigned Q = CONFIG_T::n_pixels;
    const unsigned P = out_T::size / Q;
    const unsigned L = in_T::size;
    const unsigned S = CONFIG_T::span;
    const unsigned folds = CONFIG_T::n_chan / P;
    const unsigned beats = CONFIG_T::inner * folds;
    const unsigned groups = parts_of<CONFIG_T::n_out, Q>::value;
    const int last_pixel = int(CONFIG_T::length) - 1;
    static_assert(CONFIG_T::n_chan % P == 0, "lanes must divide the channels");
    static_assert(L == K * P, "a beat must have all taps of its sums");
    static_assert(out_T::size == P * Q, "a beat must have as many lanes of each output");
    static_assert(Q == 1 || CONFIG_T::inner == 1, "several outputs must lie side by side");

    // The newest pixel first; of each the beat that comes next, in a memory or in registers.
    const bool in_memory = beats >= shortest_ring;
    const unsigned words = in_memory ? beats : 1;
    elem_t kept[S][words][L];
    #pragma HLS ARRAY_PARTITION variable=kept complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=kept complete dim=3
    if (words <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=kept type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=kept type=ram_s2p impl=bram
    }
    elem_t short_kept[S][L][in_memory ? 1 : beats];
    #pragma HLS ARRAY_PARTITION variable=short_kept complete dim=0

    int newest = -1;                     // the last pixel that has come
    int pixel = CONFIG_T::first_pixel;   // under the first tap of the next output
    unsigned copy = CONFIG_T::first_copy; // which of its copies
    unsigned to_go = groups;             // of outputs in the row
    unsigned beat = 0;
    unsigned fold = 0;

    for (unsigned i = 0; i < CONFIG_T::n_outer * CONFIG_T::steps * beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        int at[Q][K]; // the pixel under each tap
        #pragma HLS ARRAY_PARTITION variable=at complete dim=0
        for (unsigned q = 0; q < Q; q++) {
            for (unsigned k = 0; k < K; k++) {
                const unsigned places = q * CONFIG_T::stride + k * CONFIG_T::dilation;
                at[q][k] = pixel + int(places / F) + (copy + places % F >= F ? 1 : 0);
            }
        }
        const int last_tap = at[Q - 1][K - 1];
        const int needed = last_tap < last_pixel ? last_tap : last_pixel;
        const bool takes = newest < (to_go > 0 ? needed : last_pixel);
        const int latest = takes ? newest + 1 : newest;
        const bool gives = to_go > 0 && latest >= needed;

        in_T x;
        if (takes)
            x = in.read();
        elem_t pixels[S][L];
        #pragma HLS ARRAY_PARTITION variable=pixels complete dim=0
        for (unsigned l = 0; l < L; l++) {
            elem_t newer = x[l];
            for (unsigned s = 0; s < S; s++) {
                const elem_t old = in_memory ? kept[s][beat][l] : short_kept[s][l][0];
                pixels[s][l] = takes ? newer : old;
                newer = old;
                if (in_memory)
                    kept[s][beat][l] = pixels[s][l];
                else
                    shift(short_kept[s][l], pixels[s][l]);
            }
        }

        if (gives) {
            out_T y;
            for (unsigned l = 0; l < Q * P; l++) {
                const unsigned q = l / P;
                accum_t sum = 0;
                for (unsigned k = 0; k < K; k++) {
                    elem_t tap = 0;
                    for (unsigned s = 0; s < S; s++)
                        if (at[q][k] >= 0 && at[q][k] == latest - int(s))
                            tap = pixels[s][l % P * K + k];
                    sum += tap;
                }
                const channel at_channel = {fold, l % P, P};
                y[l] = CONFIG_T::epilogue::apply(sum, at_channel);
            }
            out.write(y);
        }

        fold = fold + 1 < folds ? fold + 1 : 0;
        if (beat + 1 < beats) {
            beat++;
            continue;
        }
        beat = 0;
        newest = latest;
        if (gives) {
            to_go--;
            const unsigned places = Q * CONFIG_T::stride;
            const bool next = copy + places % F >= F;
            pixel += int(places / F) + (next ? 1 : 0);
            copy = copy + places % F - (next ? F : 0);
        }
        if (to_go == 0 && newest == last_pixel) {
            newest = -1;
            pixel = CONFIG_T::first_pixel;
            copy = CONFIG_T::first_copy;
            to_go = groups;
        }
    }
}

} // namespace nnet

#endif
