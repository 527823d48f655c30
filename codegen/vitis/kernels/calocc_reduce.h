#ifndef CALOCC_REDUCE_H_
#define CALOCC_REDUCE_H_

#include "calocc_types.h"

namespace nnet {

// Reduction over the middle axis: pooling behind a `window`, global pooling.
//
// in:  (n_positions, n_taps, n_chan), in_T::size lanes
// out: (n_positions, n_chan), out_T::size lanes (divides n_chan): as many, or with n_chan of them
//      in_T::size is n_chan times a divisor of n_taps
//
// CONFIG_T: n_positions, n_taps, n_chan, accum_t, `accum_t combine(const accum_t &, const
// elem_t &)`, and `epilogue::apply(const accum_t &, channel)`, which returns an element of the
// output. The first tap is loaded, not combined.
//
// One iteration per input beat; those of the last tap write.
template <class in_T, class out_T, typename CONFIG_T>
void reduce(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename CONFIG_T::accum_t accum_t;
    const unsigned L = out_T::size;
    const unsigned at_once = in_T::size / L; // taps in a beat
    const unsigned folds = CONFIG_T::n_chan / L;
    const unsigned steps = CONFIG_T::n_taps / at_once;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the channels");
    static_assert(in_T::size % L == 0 && CONFIG_T::n_taps % at_once == 0,
                  "beats must hold whole taps");
    static_assert(at_once == 1 || folds == 1, "several taps at once have all channels");

    // A shift register instead of a memory: accumulator k is needed every `folds` iterations, and
    // no read has to wait for a write of unknown address.
    accum_t acc[folds][L];
    #pragma HLS ARRAY_PARTITION variable=acc complete dim=0

    unsigned fold = 0;
    unsigned step = 0;

    for (unsigned i = 0; i < CONFIG_T::n_positions * steps * folds; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const in_T x = in.read();
        accum_t value[L];
        #pragma HLS ARRAY_PARTITION variable=value complete
        for (unsigned l = 0; l < L; l++) {
            value[l] = step == 0 ? accum_t(x[l]) : CONFIG_T::combine(acc[0][l], x[l]);
            for (unsigned tap = 1; tap < at_once; tap++)
                value[l] = CONFIG_T::combine(value[l], x[tap * L + l]);
        }
        for (unsigned k = 0; k + 1 < folds; k++)
            for (unsigned l = 0; l < L; l++)
                acc[k][l] = acc[k + 1][l];
        for (unsigned l = 0; l < L; l++)
            acc[folds - 1][l] = value[l];

        if (step == steps - 1) {
            out_T y;
            for (unsigned l = 0; l < L; l++) {
                const channel at = {fold, l, L};
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
