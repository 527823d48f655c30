#ifndef CALOCC_MATVEC_H_
#define CALOCC_MATVEC_H_

#include "calocc_packing.h"

namespace nnet {

// Matrix times vector: dense layers, and convolutions behind a `window`.
//
// in:  (n_vectors, n_in), SIMD = in_T::size lanes (divides n_in)
// out: (n_vectors, n_out), PE = out_T::size lanes (divides n_out)
// weights[pe][nf * SF + sf][i] = W[sf * SIMD + i][nf * PE + pe]
//     with SF = n_in / SIMD and NF = n_out / PE
//
// CONFIG_T: n_vectors, n_in, n_out, weight_t, accum_t, weight_storage, n_packed, spacing, and
// `epilogue::apply(const accum_t &, channel)`, which returns an element of the output. accum_t has
// to hold every partial sum exactly: no rounding or overflow may occur in the accumulation.
// n_packed outputs share a multiplier, as `packed` in calocc_packing.h says; in simulation, which
// multiplies native integers, each has its own.
//
// n_vectors * NF * SF iterations; those with nf == 0 read, those with sf == SF - 1 write.
template <class in_T, class out_T, typename CONFIG_T>
void matvec(hls::stream<in_T> &in, hls::stream<out_T> &out,
            const typename CONFIG_T::weight_t (
                &weights)[out_T::size][(CONFIG_T::n_out / out_T::size) *
                                       (CONFIG_T::n_in / in_T::size)][in_T::size]) {
    typedef typename in_T::value_type elem_t;
    typedef products<typename CONFIG_T::accum_t, typename CONFIG_T::weight_t, elem_t> exact;
    typedef typename exact::operand_t operand_t;
    typedef typename exact::sum_t sum_t;
    const unsigned SIMD = in_T::size;
    const unsigned PE = out_T::size;
    const unsigned SF = CONFIG_T::n_in / SIMD;
    const unsigned NF = CONFIG_T::n_out / PE;
    static_assert(CONFIG_T::n_in % SIMD == 0, "SIMD must divide the inputs");
    static_assert(CONFIG_T::n_out % PE == 0, "PE must divide the outputs");

    #pragma HLS ARRAY_PARTITION variable=weights complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=weights complete dim=3
    if (CONFIG_T::weight_storage == storage::lutram) {
        #pragma HLS BIND_STORAGE variable=weights type=rom_1p impl=lutram
    } else if (CONFIG_T::weight_storage == storage::bram) {
        #pragma HLS BIND_STORAGE variable=weights type=rom_1p impl=bram
    } else {
        #pragma HLS BIND_STORAGE variable=weights type=ram_1p impl=uram
    }
    operand_t vector[SF][SIMD]; // kept for the folds nf > 0
    #pragma HLS ARRAY_RESHAPE variable=vector complete dim=2
    if (SF <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=vector type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=vector type=ram_s2p impl=bram
    }
    sum_t acc[PE];
    #pragma HLS ARRAY_PARTITION variable=acc complete

    unsigned sf = 0;
    unsigned nf = 0;
    unsigned word = 0; // nf * SF + sf

    for (unsigned i = 0; i < CONFIG_T::n_vectors * NF * SF; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        operand_t x[SIMD];
        #pragma HLS ARRAY_PARTITION variable=x complete
        if (nf == 0) {
            const in_T beat = in.read();
            for (unsigned l = 0; l < SIMD; l++) {
                x[l] = exact::operand(beat[l]);
                vector[sf][l] = x[l];
            }
        } else {
            for (unsigned l = 0; l < SIMD; l++)
                x[l] = vector[sf][l];
        }

#if defined(__SYNTHESIS__) || defined(CALOCC_FIXED_SUMS)
        if (CONFIG_T::n_packed > 1)
            add_packed<CONFIG_T::n_packed, CONFIG_T::spacing, exact>(weights, word, x, sf == 0,
                                                                     acc);
        else
#endif
            add_products<exact>(weights, word, x, sf == 0, acc);

        word++;
        if (sf + 1 < SF) {
            sf++;
            continue;
        }
        out_T y;
        for (unsigned pe = 0; pe < PE; pe++) {
            const channel at = {nf, pe, PE};
            y[pe] = CONFIG_T::epilogue::apply(exact::total(acc[pe]), at);
        }
        out.write(y);
        sf = 0;
        if (nf + 1 < NF) {
            nf++;
        } else {
            nf = 0;
            word = 0;
        }
    }
}

} // namespace nnet

#endif
