#ifndef CALOCC_LAYER_NORM_H_
#define CALOCC_LAYER_NORM_H_

#include "calocc_types.h"

namespace nnet {

// Entries of the table of roots, for arguments 1 to 4 in steps of 1 / 512.
static const unsigned layer_norm_roots = 1537;

// Normalisation of the last axis: (n_rows, n_in) to the same shape, one lane.
//
// With x, y the mantissas of a row of input and output, F the fraction bits of the output:
//     s = sum(x), a = (n_in * sum(x^2) - s^2) * 4^shift + offset()
//     4^e <= a < 4^(e + 1), t = floor(a / 4^e * 2^21)
//     r = roots[t / 4096 - 512], interpolated by t % 4096 with the next entry, rounded half up
//     y[i] = (n_in * x[i] - s) * r * 2^(shift - e + F - 17), rounded half up, within +-limit
// in integers; roots[i] = 2^17 / sqrt(1 + i / 512), so that r is 2^17 / sqrt(a / 4^e). offset() is
// the epsilon of the layer, and positive.
//
// CONFIG_T: n_rows, n_in, shift, limit, offset(), root_t (ap_uint, holds a table entry), sum_t
// (ap_int, holds n_in * x[i] - s), square_t (ap_uint, holds sum(x^2)), spread_t (ap_uint of an even
// width, holds a and n_in * sum(x^2) * 4^shift). The output element is an ap_fixed.
//
// 2 * n_in iterations per row: read and sum; normalise and write.
template <class in_T, class out_T, typename CONFIG_T>
void layer_norm(hls::stream<in_T> &in, hls::stream<out_T> &out,
                const typename CONFIG_T::root_t (&roots)[layer_norm_roots]) {
    typedef typename in_T::value_type x_t;
    typedef typename out_T::value_type y_t;
    typedef typename CONFIG_T::root_t root_t;
    typedef typename CONFIG_T::sum_t sum_t;
    typedef typename CONFIG_T::square_t square_t;
    typedef typename CONFIG_T::spread_t spread_t;
    const unsigned N = CONFIG_T::n_in;
    const unsigned W = spread_t::width;
    const int base = 17 - int(CONFIG_T::shift) - (y_t::width - y_t::iwidth);
    const unsigned left = base < 0 ? -base : 0;
    const unsigned right = base > 0 ? base : 0;
    typedef ap_fixed<x_t::width + 1, x_t::iwidth + 1> signed_t;
    typedef ap_int<x_t::width + 1> mantissa_t;
    typedef ap_int<max_of<sum_t::width + root_t::width + left + 2, W / 2 + right + 2>::value> wide_t;
    static_assert(in_T::size == 1 && out_T::size == 1, "layer_norm has one lane");
    static_assert(W % 2 == 0, "the spread is normalised by two bits at a time");

    #pragma HLS BIND_STORAGE variable=roots type=rom_2p impl=bram
    mantissa_t row[N];
    if (N <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=row type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=row type=ram_s2p impl=bram
    }
    const wide_t limit = CONFIG_T::limit;

    sum_t sum = 0;
    square_t squares = 0;
    bool writing = false;
    unsigned j = 0;
    for (unsigned i = 0; i < 2 * N * CONFIG_T::n_rows; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        if (!writing) {
            const signed_t x = in.read()[0];
            const ap_uint<x_t::width + 1> bits = x.range();
            const mantissa_t m = bits;
            row[j] = m;
            sum = j == 0 ? sum_t(m) : sum_t(sum + m);
            squares = j == 0 ? square_t(m * m) : square_t(squares + square_t(m * m));
        } else {
            const spread_t scaled = spread_t(squares) * ap_uint<32>(N);
            const spread_t spread =
                spread_t(spread_t(scaled - spread_t(sum * sum)) << (2 * CONFIG_T::shift)) +
                CONFIG_T::offset();
            unsigned e = 0;
            for (unsigned p = 1; p < W / 2; p++)
                if (spread[2 * p] || spread[2 * p + 1])
                    e = p;
            const ap_uint<23> t = (ap_uint<W + 21>(spread) << 21) >> (2 * e);
            const ap_uint<11> index = ap_uint<11>(t >> 12) - 512;
            const ap_uint<12> fraction = t;
            const root_t first = roots[index.to_uint()];
            const root_t second = roots[index.to_uint() + 1];
            const ap_uint<root_t::width + 12> fall = root_t(first - second) * fraction;
            const root_t root = first - ((fall + 2048) >> 12);
            const sum_t centred = row[j] * ap_int<33>(N) - sum;
            const wide_t product = wide_t(centred * root) << left;
            const unsigned down = e + right;
            const wide_t half = down ? wide_t(wide_t(1) << (down - 1)) : wide_t(0);
            const wide_t value = wide_t(product + half) >> down;
            const wide_t bounded = value > limit ? limit : value < -limit ? wide_t(-limit) : value;
            out_T y;
            y[0].range() = ap_int<y_t::width>(bounded);
            out.write(y);
        }
        if (j + 1 < N) {
            j++;
        } else {
            j = 0;
            writing = !writing;
        }
    }
}

} // namespace nnet

#endif
