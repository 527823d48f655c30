#ifndef CALOCC_REDUCE_H_
#define CALOCC_REDUCE_H_

#include "calocc_types.h"

namespace nnet {

// Reduction over the middle axis: pooling behind a `window`, global pooling.
//
// in:  (n_positions, n_taps, n_chan)
// out: (n_positions, n_chan)
//      in beats of n_pixels positions each: as many lanes of one tap on both sides, or on one side
//      all channels of several taps and on the other all channels
//
// CONFIG_T: n_positions (groups of them), n_taps, n_chan, n_pixels, accum_t, `accum_t combine(const accum_t &, const
// elem_t &)`, and `epilogue::apply(const accum_t &, channel)`, which returns an element of the
// output. The first tap is loaded, not combined.
//
// One iteration per input beat; those of the last tap write.
template <class in_T, class out_T, typename CONFIG_T>
void reduce(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename CONFIG_T::accum_t accum_t;
    const unsigned P = CONFIG_T::n_pixels;
    const unsigned L = out_T::size / P;
    const unsigned at_once = in_T::size / out_T::size; // taps in a beat
    const unsigned folds = parts_of<CONFIG_T::n_chan, L>::value;
    const unsigned steps = parts_of<CONFIG_T::n_taps, at_once>::value;
    const unsigned in_last = CONFIG_T::n_taps - (steps - 1) * at_once; // taps in the last beat
    static_assert(in_T::size % out_T::size == 0, "beats must hold whole taps");
    static_assert(at_once == 1 || folds == 1, "several taps at once have all channels");

    // A shift register instead of a memory: accumulator k is needed every `folds` iterations, and
    // no read has to wait for a write of unknown address.
    accum_t acc[folds][P * L];
    #pragma HLS ARRAY_PARTITION variable=acc complete dim=0

    unsigned fold = 0;
    unsigned step = 0;

    for (unsigned i = 0; i < CONFIG_T::n_positions * steps * folds; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const in_T x = in.read();
        accum_t value[P * L];
        #pragma HLS ARRAY_PARTITION variable=value complete
        for (unsigned l = 0; l < P * L; l++) {
            const unsigned first = (l / L) * at_once * L + l % L;
            value[l] = step == 0 ? accum_t(x[first]) : CONFIG_T::combine(acc[0][l], x[first]);
            for (unsigned tap = 1; tap < at_once; tap++)
                if (tap < in_last || step + 1 < steps)
                    value[l] = CONFIG_T::combine(value[l], x[first + tap * L]);
        }
        for (unsigned k = 0; k + 1 < folds; k++)
            for (unsigned l = 0; l < P * L; l++)
                acc[k][l] = acc[k + 1][l];
        for (unsigned l = 0; l < P * L; l++)
            acc[folds - 1][l] = value[l];

        if (step == steps - 1) {
            out_T y;
            for (unsigned l = 0; l < P * L; l++) {
                const channel at = {fold, l % L, L};
                y[l] = CONFIG_T::epilogue::apply(value[l], at);
            }
            out.write(y);
        }

        if (fold + 1 < folds) {
            fold++;
        } else {
            fold = 0;
            step = step + 1 < steps ? step + 1 : 0;
        }
    }
}

} // namespace nnet

#endif
