#ifndef CALOCC_MATVEC_H_
#define CALOCC_MATVEC_H_

#include "calocc_packing.h"

namespace nnet {

// Matrix times vector: dense layers, and convolutions behind a `window`.
//
// in:  (n_vectors, n_in), SIMD = in_T::size lanes (divides n_in)
// out: (n_vectors, n_out), PE = out_T::size lanes (divides n_out)
// weights[pe][word][i] = W[sf * SIMD + i][nf * PE + pe], with SF = n_in / SIMD and NF = n_out / PE
//
// CONFIG_T: n_vectors, n_in, n_out, inputs_first, weight_t, accum_t, weight_storage, in_logic,
// n_packed, spacing, and `epilogue::apply(const accum_t &, channel)`, which returns an element of
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
    const unsigned kept_words = CONFIG_T::inputs_first ? 1 : SF;
    const unsigned kept_sums = CONFIG_T::inputs_first ? NF : 1;
    operand_t vector[kept_words][SIMD]; // for the folds nf > 0
    #pragma HLS ARRAY_RESHAPE variable=vector complete dim=2
    if (kept_words <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=vector type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=vector type=ram_s2p impl=bram
    }
    // A shift register, as in `reduce`: the sums of a fold are needed every kept_sums iterations.
    sum_t acc[kept_sums][PE];
    #pragma HLS ARRAY_PARTITION variable=acc complete dim=0

    unsigned sf = 0;
    unsigned nf = 0;
    unsigned word = 0;

    for (unsigned i = 0; i < CONFIG_T::n_vectors * NF * SF; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const unsigned at_word = CONFIG_T::inputs_first ? 0 : sf;
        operand_t x[SIMD];
        #pragma HLS ARRAY_PARTITION variable=x complete
        if (nf == 0) {
            const in_T beat = in.read();
            for (unsigned l = 0; l < SIMD; l++) {
                x[l] = exact::operand(beat[l]);
                vector[at_word][l] = x[l];
            }
        } else {
            for (unsigned l = 0; l < SIMD; l++)
                x[l] = vector[at_word][l];
        }

        sum_t sums[PE];
        #pragma HLS ARRAY_PARTITION variable=sums complete
        for (unsigned pe = 0; pe < PE; pe++)
            sums[pe] = acc[0][pe];
#if defined(__SYNTHESIS__) || defined(CALOCC_FIXED_SUMS)
        if (CONFIG_T::n_packed > 1 || CONFIG_T::in_logic)
            add_packed<CONFIG_T::n_packed, CONFIG_T::spacing, exact>(weights, word, x, sf == 0,
                                                                     sums);
        else
#endif
            add_products<exact>(weights, word, x, sf == 0, sums);
        for (unsigned k = 0; k + 1 < kept_sums; k++)
            for (unsigned pe = 0; pe < PE; pe++)
                acc[k][pe] = acc[k + 1][pe];
        for (unsigned pe = 0; pe < PE; pe++)
            acc[kept_sums - 1][pe] = sums[pe];

        if (sf == SF - 1) {
            out_T y;
            for (unsigned pe = 0; pe < PE; pe++) {
                const channel at = {nf, pe, PE};
                y[pe] = CONFIG_T::epilogue::apply(exact::total(sums[pe]), at);
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
