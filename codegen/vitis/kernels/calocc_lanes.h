#ifndef CALOCC_LANES_H_
#define CALOCC_LANES_H_

#include "calocc_types.h"

namespace nnet {

// Changes the layout of beats.
//
// in, out: (n_rows, n_width, n_chan); beats of in_pixels and out_pixels pixels, and as many lanes of
// each as fit in_T::size and out_T::size. Nothing has to divide anything.
//
// CONFIG_T: n_rows, n_width, n_chan, in_pixels, out_pixels, trips, the number of iterations, and
// held_pixels x held_chan, the elements that are kept: of each axis as many as both layouts divide,
// or all of it; all channels if a beat has other pixels than before.
//
// A beat is written as soon as all of it has been read; one is read only if the next to be written
// lacks elements. So a row begins when the one before has left, and so do pixels if both beats have
// the same of them: every element has a place that is free when it arrives.
template <class in_T, class out_T, typename CONFIG_T>
void lanes(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned P = CONFIG_T::in_pixels;
    const unsigned Q = CONFIG_T::out_pixels;
    const unsigned A = in_T::size / P;
    const unsigned B = out_T::size / Q;
    const unsigned W = CONFIG_T::n_width;
    const unsigned C = CONFIG_T::n_chan;
    const unsigned in_groups = CONFIG_T::held_pixels / P; // places of a beat
    const unsigned in_folds = CONFIG_T::held_chan / A;
    const unsigned out_groups = CONFIG_T::held_pixels / Q;
    const unsigned out_folds = (CONFIG_T::held_chan + B - 1) / B;

    elem_t held[CONFIG_T::held_pixels][CONFIG_T::held_chan];
    #pragma HLS ARRAY_PARTITION variable=held complete dim=0

    unsigned in_pixel = 0; // pixels of the row that have arrived, all their channels
    unsigned in_chan = 0;  // channels of the pixels behind those
    unsigned in_group = 0; // the place of the next beat
    unsigned in_fold = 0;
    unsigned out_pixel = 0; // what has left
    unsigned out_chan = 0;
    unsigned out_group = 0;
    unsigned out_fold = 0;

    for (unsigned i = 0; i < CONFIG_T::trips; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const unsigned end_pixel = out_pixel + Q < W ? out_pixel + Q : W;
        const unsigned end_chan = out_chan + B < C ? out_chan + B : C;
        if (in_pixel < end_pixel && (in_pixel + P < end_pixel || in_chan < end_chan)) {
            const in_T x = in.read();
            for (unsigned group = 0; group < in_groups; group++)
                for (unsigned fold = 0; fold < in_folds; fold++)
                    if (group == in_group && fold == in_fold)
                        for (unsigned p = 0; p < P; p++)
                            for (unsigned l = 0; l < A; l++)
                                held[group * P + p][fold * A + l] = x[p * A + l];
            in_chan += A;
            in_fold = in_fold + 1 < in_folds ? in_fold + 1 : 0;
            if (in_chan >= C) {
                in_chan = 0;
                in_fold = 0;
                in_pixel += P;
                in_group = in_group + 1 < in_groups ? in_group + 1 : 0;
            }
        }
        if (in_pixel >= end_pixel || (in_pixel + P >= end_pixel && in_chan >= end_chan)) {
            // All beats that could leave; wires, of which simulation needs only one.
            elem_t ready[out_groups][out_folds][Q * B];
            #pragma HLS ARRAY_PARTITION variable=ready complete dim=0
            for (unsigned group = 0; group < out_groups; group++)
                for (unsigned fold = 0; fold < out_folds; fold++)
                    if (is_synthesis || (group == out_group && fold == out_fold))
                        for (unsigned p = 0; p < Q; p++)
                            for (unsigned l = 0; l < B; l++)
                                ready[group][fold][p * B + l] =
                                    fold * B + l < CONFIG_T::held_chan
                                        ? held[group * Q + p][fold * B + l]
                                        : elem_t(0);
            out_T y;
            for (unsigned l = 0; l < Q * B; l++)
                y[l] = ready[out_group][out_fold][l];
            out.write(y);
            out_chan += B;
            out_fold = out_fold + 1 < out_folds ? out_fold + 1 : 0;
            if (out_chan >= C) {
                out_chan = 0;
                out_fold = 0;
                out_pixel += Q;
                out_group = out_group + 1 < out_groups ? out_group + 1 : 0;
            }
            if (out_pixel >= W) {
                in_pixel = 0;
                in_group = 0;
                out_pixel = 0;
                out_group = 0;
            }
        }
    }
}

} // namespace nnet

#endif
