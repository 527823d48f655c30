#ifndef CALOCC_PACKING_H_
#define CALOCC_PACKING_H_

#include "calocc_types.h"

namespace nnet {

// The narrow operand of the widest product that one DSP slice computes, signed (UG479, UG579); the
// wide one has 25 bits in a DSP48E1 and 27 in a DSP48E2.
static const unsigned narrow_port = 18;

// The mantissa of a fixed-point number as a signed integer.
template <class T> struct mantissa;
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct mantissa<ap_fixed<W, I, Q, O, N>> {
    typedef ap_int<W> type;
    static type of(const ap_fixed<W, I, Q, O, N> &x) {
        #pragma HLS INLINE
        type result;
        result.range() = x.range();
        return result;
    }
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct mantissa<ap_ufixed<W, I, Q, O, N>> {
    typedef ap_int<W + 1> type;
    static type of(const ap_ufixed<W, I, Q, O, N> &x) {
        #pragma HLS INLINE
        return ap_uint<W>(x.range());
    }
};

// Several products with one multiplier: N weights, SPACING bits apart in one factor, times x.
//
// Product i is what stands in field i of the result, plus its carry: what is under a field borrows
// one from it where it is negative, and its sign is the bit below the field. All products have to
// lie strictly between -2^(SPACING - 1) and 2^(SPACING - 1), the factor within WIDE bits, and
// x within `narrow_port`.
template <class w_T, class x_T, unsigned N, unsigned SPACING, unsigned WIDE> struct packed {
    typedef ap_int<WIDE> factor_t;
    typedef ap_int<WIDE + narrow_port> result_t;

    static factor_t factor(const w_T (&w)[N]) {
        #pragma HLS INLINE
        factor_t packed_weights = 0;
        ap_uint<1> borrow = 0;
        for (unsigned i = 0; i < N; i++) {
            const factor_t digit = mantissa<w_T>::of(w[i]) - borrow;
            const unsigned top = i + 1 < N ? (i + 1) * SPACING : WIDE;
            packed_weights.range(top - 1, i * SPACING) = digit.range(top - 1 - i * SPACING, 0);
            borrow = digit < 0;
        }
        return packed_weights;
    }

    static void multiply(const w_T (&w)[N], const x_T &x, ap_int<SPACING> (&fields)[N],
                         ap_uint<1> (&carries)[N]) {
        #pragma HLS INLINE
        const ap_int<narrow_port> shared = mantissa<x_T>::of(x);
        const result_t result = factor(w) * shared;
        #pragma HLS BIND_OP variable=result op=mul impl=dsp
        for (unsigned i = 0; i < N; i++) {
            fields[i] = ap_int<SPACING>(result >> (i * SPACING));
            carries[i] = i == 0 ? 0 : int(result[i == 0 ? 0 : i * SPACING - 1]);
        }
    }
};

// A product without a neighbour, in logic.
template <class w_T, class x_T, unsigned SPACING, unsigned WIDE>
struct packed<w_T, x_T, 1, SPACING, WIDE> {
    static void multiply(const w_T (&w)[1], const x_T &x, ap_int<SPACING> (&fields)[1],
                         ap_uint<1> (&carries)[1]) {
        #pragma HLS INLINE
        const typename mantissa<w_T>::type weight = mantissa<w_T>::of(w[0]);
        const typename mantissa<x_T>::type shared = mantissa<x_T>::of(x);
        const ap_int<SPACING> result = weight * shared;
        #pragma HLS BIND_OP variable=result op=mul impl=fabric
        fields[0] = result;
        carries[0] = 0;
    }
};

// An integer that counts units of the last place of T.
template <class T, int W> T in_last_places(const ap_int<W> &count, int spare) {
    #pragma HLS INLINE
    T result;
    result.range() = ap_int<T::width>(count) << spare;
    return result;
}

// Adds to PE sums the products of SIMD operands with a word of weights each; with `first` set the
// sums start from zero.
template <class exact, class w_T, class operand_t, class sum_t, unsigned PE, unsigned DEPTH,
          unsigned SIMD>
void add_products(const w_T (&weights)[PE][DEPTH][SIMD], unsigned word,
                  const operand_t (&x)[SIMD], bool first, sum_t (&sums)[PE]) {
    #pragma HLS INLINE
    for (unsigned pe = 0; pe < PE; pe++) {
        sum_t sum = first ? sum_t(0) : sums[pe];
        for (unsigned l = 0; l < SIMD; l++)
            sum += exact::product(weights[pe][word][l], x[l]);
        sums[pe] = sum;
    }
}

// The same with a multiplier for every N neighbouring sums; what the fields borrow is counted. With
// N = 1 multipliers are made of logic.
template <unsigned N, unsigned SPACING, unsigned WIDE, class exact, class w_T, class operand_t,
          class sum_t, unsigned PE, unsigned DEPTH, unsigned SIMD>
void add_packed(const w_T (&weights)[PE][DEPTH][SIMD], unsigned word,
                const operand_t (&x)[SIMD], bool first, sum_t (&sums)[PE]) {
    #pragma HLS INLINE
    for (unsigned group = 0; group < PE; group += N) {
        const unsigned last = group + N < PE ? N - 1 : PE - 1 - group;
        sum_t sum[N];
        ap_int<bits_of<SIMD>::value + 1> carried[N];
        for (unsigned i = 0; i <= last; i++) {
            sum[i] = first ? sum_t(0) : sums[group + i];
            carried[i] = 0;
        }
        for (unsigned l = 0; l < SIMD; l++) {
            w_T w[N];
            for (unsigned i = 0; i < N; i++)
                w[i] = i <= last ? weights[group + i][word][l] : w_T(0);
            ap_int<SPACING> fields[N];
            ap_uint<1> carries[N];
            packed<w_T, operand_t, N, SPACING, WIDE>::multiply(w, x[l], fields, carries);
            for (unsigned i = 0; i <= last; i++) {
                sum[i] += in_last_places<sum_t>(fields[i], exact::spare);
                carried[i] += carries[i];
            }
        }
        for (unsigned i = 0; i <= last; i++)
            sums[group + i] = sum[i] + in_last_places<sum_t>(carried[i], exact::spare);
    }
}

} // namespace nnet

#endif
