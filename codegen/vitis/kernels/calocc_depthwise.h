#ifndef CALOCC_DEPTHWISE_H_
#define CALOCC_DEPTHWISE_H_

#include "calocc_types.h"

namespace nnet {

// Weighted sums per channel: depthwise convolutions behind a `window`.
//
// in:  (n_positions, n_taps, n_chan), L = in_T::size lanes (divides n_chan)
// out: (n_positions, n_chan * multiplier), L * multiplier lanes; output c * multiplier + m is the
//      sum over the taps t of x[t][c] * W[t][c][m]
// weights[t * n_chan / L + fold][l * multiplier + m] = W[t][fold * L + l][m]
//
// CONFIG_T: n_positions, n_taps, n_chan, multiplier, weight_t, accum_t (holds every partial sum
// exactly), weight_storage, and `epilogue::apply(const accum_t &, channel)`.
//
// One iteration per input beat; those of the last tap write.
template <class in_T, class out_T, typename CONFIG_T>
void depthwise(hls::stream<in_T> &in, hls::stream<out_T> &out,
               const typename CONFIG_T::weight_t (
                   &weights)[CONFIG_T::n_taps * (CONFIG_T::n_chan / in_T::size)][out_T::size]) {
    typedef typename in_T::value_type elem_t;
    typedef products<typename CONFIG_T::accum_t, typename CONFIG_T::weight_t, elem_t> exact;
    typedef typename exact::operand_t operand_t;
    typedef typename exact::sum_t sum_t;
    const unsigned L = in_T::size;
    const unsigned M = CONFIG_T::multiplier;
    const unsigned folds = CONFIG_T::n_chan / L;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the channels");
    static_assert(out_T::size == L * M, "a beat of inputs gives a beat of outputs");

    #pragma HLS ARRAY_RESHAPE variable=weights complete dim=2
    if (CONFIG_T::weight_storage == storage::lutram) {
        #pragma HLS BIND_STORAGE variable=weights type=rom_1p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=weights type=rom_1p impl=bram
    }
    // A shift register, as in `reduce`: accumulator k is needed every `folds` iterations.
    sum_t acc[folds][L * M];
    #pragma HLS ARRAY_PARTITION variable=acc complete dim=0

    unsigned fold = 0;
    unsigned tap = 0;
    unsigned word = 0; // tap * folds + fold

    for (unsigned i = 0; i < CONFIG_T::n_positions * CONFIG_T::n_taps * folds; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const in_T x = in.read();
        sum_t value[L * M];
        #pragma HLS ARRAY_PARTITION variable=value complete
        for (unsigned l = 0; l < L; l++) {
            const operand_t operand = exact::operand(x[l]);
            for (unsigned j = l * M; j < (l + 1) * M; j++)
                value[j] = (tap == 0 ? sum_t(0) : acc[0][j]) +
                           exact::product(weights[word][j], operand);
        }
        for (unsigned k = 0; k + 1 < folds; k++)
            for (unsigned j = 0; j < L * M; j++)
                acc[k][j] = acc[k + 1][j];
        for (unsigned j = 0; j < L * M; j++)
            acc[folds - 1][j] = value[j];

        if (tap == CONFIG_T::n_taps - 1) {
            out_T y;
            for (unsigned j = 0; j < L * M; j++) {
                const channel at = {fold, j, L * M};
                y[j] = CONFIG_T::epilogue::apply(exact::total(value[j]), at);
            }
            out.write(y);
        }

        word++;
        if (fold + 1 < folds) {
            fold++;
        } else {
            fold = 0;
            if (tap + 1 < CONFIG_T::n_taps) {
                tap++;
            } else {
                tap = 0;
                word = 0;
            }
        }
    }
}

} // namespace nnet

#endif
