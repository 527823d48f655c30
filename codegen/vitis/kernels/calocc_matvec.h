#ifndef CALOCC_MATVEC_H_
#define CALOCC_MATVEC_H_

#include "calocc_packing.h"

namespace nnet {

// Matrix times vector: dense layers, and convolutions behind a `window`.
//
// in:  (n_vectors, n_in), SIMD lanes of each of n_pixels vectors
// out: (n_vectors, n_out), PE lanes of each of n_pixels vectors
// weights[pe][word][i] = W[sf * SIMD + i][nf * PE + pe], zeros beyond W; SF = n_in / SIMD and
// NF = n_out / PE, both rounded up, are the folds
//
// CONFIG_T: n_vectors (groups of them), n_pixels, n_in, n_out, inputs_first, weight_t, accum_t, weight_storage, in_logic,
// n_packed, spacing, wide_port, and `epilogue::apply(const accum_t &, channel)`, which returns an element of
// the output. accum_t has to hold every partial sum exactly: no rounding or overflow may occur in
// the accumulation. n_packed outputs share a multiplier, as `packed` in calocc_packing.h says, or with
// in_logic multipliers are not DSP slices; simulation multiplies native integers instead.
//
// n_vectors * NF * SF iterations. Either the inputs of a vector are kept, and word = nf * SF + sf:
// iterations with nf == 0 read, those with sf == SF - 1 write. Or, with `inputs_first`, all n_out
// sums are, and word = sf * NF + nf: then every input is used up when it arrives, and the outputs
// leave NF iterations after the last of them.
template <class in_T, class out_T, typename CONFIG_T>
void matvec(hls::stream<in_T> &in, hls::stream<out_T> &out,
            const typename CONFIG_T::weight_t (
                &weights)[out_T::size / CONFIG_T::n_pixels]
                         [parts_of<CONFIG_T::n_out, out_T::size / CONFIG_T::n_pixels>::value *
                          parts_of<CONFIG_T::n_in, in_T::size / CONFIG_T::n_pixels>::value]
                         [in_T::size / CONFIG_T::n_pixels]) {
    typedef typename in_T::value_type elem_t;
    typedef products<typename CONFIG_T::accum_t, typename CONFIG_T::weight_t, elem_t> exact;
    typedef typename exact::operand_t operand_t;
    typedef typename exact::sum_t sum_t;
    const unsigned P = CONFIG_T::n_pixels;
    const unsigned SIMD = in_T::size / P;
    const unsigned PE = out_T::size / P;
    const unsigned SF = parts_of<CONFIG_T::n_in, SIMD>::value;
    const unsigned NF = parts_of<CONFIG_T::n_out, PE>::value;

    #pragma HLS ARRAY_PARTITION variable=weights complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=weights complete dim=3
    if (CONFIG_T::weight_storage == storage::lutram) {
        #pragma HLS BIND_STORAGE variable=weights type=rom_1p impl=lutram
    } else if (CONFIG_T::weight_storage == storage::bram) {
        #pragma HLS BIND_STORAGE variable=weights type=rom_1p impl=bram
    } else {
        #pragma HLS BIND_STORAGE variable=weights type=ram_1p impl=uram
    }
    const unsigned kept_words = CONFIG_T::inputs_first ? 1 : SF;
    const unsigned kept_sums = CONFIG_T::inputs_first ? NF : 1;
    operand_t vector[kept_words][P][SIMD]; // for the folds nf > 0
    #pragma HLS ARRAY_RESHAPE variable=vector complete dim=2
    #pragma HLS ARRAY_RESHAPE variable=vector complete dim=3
    if (kept_words <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=vector type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=vector type=ram_s2p impl=bram
    }
    // A shift register, as in `reduce`: the sums of a fold are needed every kept_sums iterations.
    sum_t acc[kept_sums][P][PE];
    #pragma HLS ARRAY_PARTITION variable=acc complete dim=0

    unsigned sf = 0;
    unsigned nf = 0;
    unsigned word = 0;

    for (unsigned i = 0; i < CONFIG_T::n_vectors * NF * SF; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const unsigned at_word = CONFIG_T::inputs_first ? 0 : sf;
        operand_t x[P][SIMD];
        #pragma HLS ARRAY_PARTITION variable=x complete dim=0
        if (nf == 0) {
            const in_T beat = in.read();
            for (unsigned p = 0; p < P; p++)
                for (unsigned l = 0; l < SIMD; l++) {
                    x[p][l] = exact::operand(beat[p * SIMD + l]);
                    vector[at_word][p][l] = x[p][l];
                }
        } else {
            for (unsigned p = 0; p < P; p++)
                for (unsigned l = 0; l < SIMD; l++)
                    x[p][l] = vector[at_word][p][l];
        }

        sum_t sums[P][PE];
        #pragma HLS ARRAY_PARTITION variable=sums complete dim=0
        for (unsigned p = 0; p < P; p++) {
            for (unsigned pe = 0; pe < PE; pe++)
                sums[p][pe] = acc[0][p][pe];
#if defined(__SYNTHESIS__) || defined(CALOCC_FIXED_SUMS)
            if (CONFIG_T::n_packed > 1 || CONFIG_T::in_logic)
                add_packed<CONFIG_T::n_packed, CONFIG_T::spacing, CONFIG_T::wide_port, exact>(
                    weights, word, x[p], sf == 0, sums[p]);
            else
#endif
                add_products<exact>(weights, word, x[p], sf == 0, sums[p]);
        }
        for (unsigned p = 0; p < P; p++)
            for (unsigned pe = 0; pe < PE; pe++) {
                for (unsigned k = 0; k + 1 < kept_sums; k++)
                    acc[k][p][pe] = acc[k + 1][p][pe];
                acc[kept_sums - 1][p][pe] = sums[p][pe];
            }

        if (sf == SF - 1) {
            out_T y;
            for (unsigned p = 0; p < P; p++)
                for (unsigned pe = 0; pe < PE; pe++) {
                    const channel at = {nf, pe, PE};
                    y[p * PE + pe] = CONFIG_T::epilogue::apply(exact::total(sums[p][pe]), at);
                }
            out.write(y);
        }

        const bool last_word = sf == SF - 1 && nf == NF - 1;
        word = last_word ? 0 : word + 1;
        if (CONFIG_T::inputs_first) {
            if (nf == NF - 1)
                sf = sf == SF - 1 ? 0 : sf + 1;
            nf = nf == NF - 1 ? 0 : nf + 1;
        } else {
            if (sf == SF - 1)
                nf = nf == NF - 1 ? 0 : nf + 1;
            sf = sf == SF - 1 ? 0 : sf + 1;
        }
    }
}

} // namespace nnet

#endif
