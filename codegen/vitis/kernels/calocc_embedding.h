#ifndef CALOCC_EMBEDDING_H_
#define CALOCC_EMBEDDING_H_

#include "calocc_types.h"

namespace nnet {

// Rows of a table by their numbers: (n_positions) to (n_positions, n_out), one index at a time.
//
// out[p][j] = table[in[p] * F + j / L][j % L] with L = out_T::size lanes (divides n_out) and
//     F = n_out / L beats per row; zeros where in[p] is none of 0, ..., n_rows - 1.
//
// CONFIG_T: n_positions, n_rows, n_out, entry_t (an element of the output), table_storage. The
// input element is an ap_fixed or ap_ufixed without fraction bits.
//
// n_positions * F iterations; those with the first beat of a row read.
template <class in_T, class out_T, typename CONFIG_T>
void embedding(hls::stream<in_T> &in, hls::stream<out_T> &out,
               const typename CONFIG_T::entry_t (
                   &table)[CONFIG_T::n_rows * (CONFIG_T::n_out / out_T::size)][out_T::size]) {
    typedef typename in_T::value_type x_t;
    typedef typename CONFIG_T::entry_t entry_t;
    typedef ap_int<x_t::iwidth + 1> index_t;
    const unsigned LANES = out_T::size;
    const unsigned F = CONFIG_T::n_out / LANES;
    static_assert(in_T::size == 1, "embedding takes one index at a time");
    static_assert(CONFIG_T::n_out % LANES == 0, "lanes must divide the columns");
    static_assert(x_t::width <= x_t::iwidth, "indices are integers");

    #pragma HLS ARRAY_RESHAPE variable=table complete dim=2
    if (CONFIG_T::table_storage == storage::lutram) {
        #pragma HLS BIND_STORAGE variable=table type=rom_1p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=table type=rom_1p impl=bram
    }
    unsigned word = 0; // row * F + fold
    unsigned fold = 0;
    bool known = false;
    for (unsigned i = 0; i < CONFIG_T::n_positions * F; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        if (fold == 0) {
            const index_t index = index_t(in.read()[0]);
            known = index >= 0 && index < CONFIG_T::n_rows;
            word = known ? unsigned(index.to_uint()) * F : 0;
        }
        out_T y;
        for (unsigned l = 0; l < LANES; l++)
            y[l] = known ? table[word][l] : entry_t(0);
        out.write(y);
        fold = fold + 1 < F ? fold + 1 : 0;
        word++;
    }
}

} // namespace nnet

#endif
