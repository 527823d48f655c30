#ifndef CALOCC_RUNNING_SUM_H_
#define CALOCC_RUNNING_SUM_H_

#include "calocc_types.h"

namespace nnet {

// Running sums over rows: out[t][c] = in[0][c] + ... + in[t][c], (n_rows, n_chan) on both sides.
//
// CONFIG_T: n_rows, n_chan. The lanes of both streams divide n_chan; the output's element holds
// every sum. n_rows * n_chan / lanes iterations, each of which reads a beat and writes one.
template <class in_T, class out_T, typename CONFIG_T>
void running_sum(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename out_T::value_type sum_t;
    const unsigned L = out_T::size;
    const unsigned folds = CONFIG_T::n_chan / L;
    static_assert(in_T::size == L && CONFIG_T::n_chan % L == 0, "lanes must divide the channels");

    // The sums of a row, the oldest beat first: a beat leaves and comes back one row later.
    sum_t sums[folds][L];
    #pragma HLS ARRAY_PARTITION variable=sums complete dim=0
    for (unsigned i = 0; i < CONFIG_T::n_rows * folds; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const in_T x = in.read();
        out_T y;
        for (unsigned l = 0; l < L; l++) {
            const sum_t before = i < folds ? sum_t(0) : sums[0][l];
            y[l] = before + x[l];
            for (unsigned f = 0; f + 1 < folds; f++)
                sums[f][l] = sums[f + 1][l];
            sums[folds - 1][l] = y[l];
        }
        out.write(y);
    }
}

} // namespace nnet

#endif
