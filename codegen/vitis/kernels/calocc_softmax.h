#ifndef CALOCC_SOFTMAX_H_
#define CALOCC_SOFTMAX_H_

#include "calocc_types.h"

namespace nnet {

// Softmax over the last axis: (n_rows, n_in) to the same shape, one lane.
//
// With x, y the mantissas of a row of input and output, F the fraction bits of the output:
//     e[i] = table[min(max(x) - x[i], table_size - 1)]
//     y[i] = min((e[i] * 2^F + floor(sum(e) / 2)) / sum(e), largest mantissa)
// in integers, division rounding down. table[0] has to be positive.
//
// CONFIG_T: n_rows, n_in, table_size, exp_t (ap_uint, holds a table entry), sum_t (ap_uint, holds
// the sum of n_in entries). The output element is an ap_ufixed.
//
// 3 * n_in iterations per row: read and find the maximum; look up and add; divide and write.
template <class in_T, class out_T, typename CONFIG_T>
void softmax(hls::stream<in_T> &in, hls::stream<out_T> &out,
             const typename CONFIG_T::exp_t (&table)[CONFIG_T::table_size]) {
    typedef typename in_T::value_type x_t;
    typedef typename out_T::value_type y_t;
    typedef typename CONFIG_T::exp_t exp_t;
    typedef typename CONFIG_T::sum_t sum_t;
    const unsigned N = CONFIG_T::n_in;
    const int F = y_t::width - y_t::iwidth;
    const unsigned exp_width = exp_t::width + F;
    const unsigned sum_width = sum_t::width;
    typedef ap_uint<max_of<exp_width, sum_width>::value + 1> ratio_t;
    typedef ap_ufixed<x_t::width + 1, x_t::iwidth + 1> distance_t;
    static_assert(in_T::size == 1 && out_T::size == 1, "softmax has one lane");
    static_assert(F >= 0, "the output must have no more integer bits than bits");

    x_t row[N];
    exp_t exps[N];
    if (N <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=row type=ram_s2p impl=lutram
        #pragma HLS BIND_STORAGE variable=exps type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=row type=ram_s2p impl=bram
        #pragma HLS BIND_STORAGE variable=exps type=ram_s2p impl=bram
    }
    const ratio_t largest = (ratio_t(1) << y_t::width) - 1;

    x_t top = 0;
    sum_t sum = 0;
    unsigned phase = 0;
    unsigned j = 0;
    for (unsigned i = 0; i < 3 * N * CONFIG_T::n_rows; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        if (phase == 0) {
            const in_T beat = in.read();
            row[j] = beat[0];
            if (j == 0 || beat[0] > top)
                top = beat[0];
        } else if (phase == 1) {
            const distance_t distance = top - row[j];
            const ap_uint<x_t::width + 1> steps = distance.range();
            const unsigned last = CONFIG_T::table_size - 1;
            const exp_t e = table[steps < last ? steps.to_uint() : last];
            exps[j] = e;
            sum = j == 0 ? sum_t(e) : sum_t(sum + e);
        } else {
            const ratio_t scaled = (ratio_t(exps[j]) << F) + ratio_t(sum >> 1);
            const ratio_t ratio = scaled / ratio_t(sum);
            out_T y;
            y[0].range() = ap_uint<y_t::width>(ratio < largest ? ratio : largest);
            out.write(y);
        }
        if (j + 1 < N) {
            j++;
        } else {
            j = 0;
            phase = phase < 2 ? phase + 1 : 0;
        }
    }
}

} // namespace nnet

#endif
