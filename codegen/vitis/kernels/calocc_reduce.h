#ifndef CALOCC_REDUCE_H_
#define CALOCC_REDUCE_H_

#include "calocc_types.h"

namespace nnet {

// Reduction over the middle axis: pooling behind a `window`, global pooling.
//
// in:  (n_positions, n_taps, n_chan), in_T::size lanes (divides n_chan)
// out: (n_positions, n_chan), as many lanes
//
// CONFIG_T: n_positions, n_taps, n_chan, accum_t, `accum_t combine(const accum_t &, const
// elem_t &)`, and `epilogue::apply(const accum_t &, channel)`, which returns an element of the
// output. The first tap is loaded, not combined.
//
// One iteration per input beat; those of the last tap write.
template <class in_T, class out_T, typename CONFIG_T>
void reduce(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename CONFIG_T::accum_t accum_t;
    const unsigned L = in_T::size;
    const unsigned folds = CONFIG_T::n_chan / L;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the channels");
    static_assert(out_T::size == L, "a reduction keeps the lanes");

    // A shift register instead of a memory: accumulator k is needed every `folds` iterations, and
    // no read has to wait for a write of unknown address.
    accum_t acc[folds][L];
    #pragma HLS ARRAY_PARTITION variable=acc complete dim=0

    unsigned fold = 0;
    unsigned tap = 0;

    for (unsigned i = 0; i < CONFIG_T::n_positions * CONFIG_T::n_taps * folds; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const in_T x = in.read();
        accum_t value[L];
        #pragma HLS ARRAY_PARTITION variable=value complete
        for (unsigned l = 0; l < L; l++)
            value[l] = tap == 0 ? accum_t(x[l]) : CONFIG_T::combine(acc[0][l], x[l]);
        for (unsigned k = 0; k + 1 < folds; k++)
            for (unsigned l = 0; l < L; l++)
                acc[k][l] = acc[k + 1][l];
        for (unsigned l = 0; l < L; l++)
            acc[folds - 1][l] = value[l];

        if (tap == CONFIG_T::n_taps - 1) {
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
            tap = tap + 1 < CONFIG_T::n_taps ? tap + 1 : 0;
        }
    }
}

} // namespace nnet

#endif
