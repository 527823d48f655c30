#ifndef CALOCC_RECURRENT_H_
#define CALOCC_RECURRENT_H_

#include "calocc_types.h"

namespace nnet {

// Recurrent layers: a step over units that repeats over time.
//
// in:  (n_steps, n_units, n_gates), PE * n_gates lanes: the gates of PE units
// out: (n_steps, n_units) with `sequences`, else (n_units), PE = out_T::size lanes
//
// A step has one or two phases. Each multiplies a vector of n_units elements with weights and
// hands the sums to the units, which make an element each of the vector for the next phase; the
// last phase makes the vector of the next step, and the output. Vectors and states begin as zeros.
//
// CONFIG_T: n_steps, n_units, n_gates, simd (divides n_units, a multiple of PE), sequences;
// `unit_t`, the states of a unit, with `clear()`; `phase0` and, in two phases, `phase1`:
//     n_dots, the number of sums per unit; vector_t, weight_t, accum_t, weight_storage;
//     apply(const accum_t (&sums)[n_dots], const gate_t (&gates)[n_gates], unit_t &, next_t &,
//           out element &, channel)
// where next_t is the vector_t of the phase that follows. Gates are those of the step in `phase0`;
// the output has to be set in the last phase. accum_t holds every partial sum exactly.
// weights[pe * n_dots + k][nf * SF + sf][i] = W_k[sf * simd + i][nf * PE + pe]
//     with SF = n_units / simd and NF = n_units / PE
//
// A phase is one flattened loop of NF * SF iterations; it begins when the pipeline of the phase
// before is empty, since it needs all of its results. A beat is read at the end of each output
// fold of the first phase, and written at that of the last one.
template <class PHASE, class NEXT, typename CONFIG_T, bool is_first, bool is_last, class in_T,
          class out_T, class source_T, class target_T>
void recurrent_phase(
    hls::stream<in_T> &in, hls::stream<out_T> &out, const bool fresh, const bool writes,
    const typename PHASE::weight_t (
        &weights)[out_T::size * PHASE::n_dots][(CONFIG_T::n_units / out_T::size) *
                                               (CONFIG_T::n_units / CONFIG_T::simd)]
                 [CONFIG_T::simd],
    const source_T (&source)[CONFIG_T::n_units / CONFIG_T::simd][CONFIG_T::simd],
    target_T (&target)[CONFIG_T::n_units / CONFIG_T::simd][CONFIG_T::simd],
    typename CONFIG_T::unit_t (&units)[CONFIG_T::n_units / out_T::size][out_T::size]) {
    #pragma HLS INLINE
    typedef products<typename PHASE::accum_t, typename PHASE::weight_t, typename PHASE::vector_t>
        exact;
    typedef products<typename NEXT::accum_t, typename NEXT::weight_t, typename NEXT::vector_t> next;
    typedef typename exact::operand_t operand_t;
    typedef typename exact::sum_t sum_t;
    const unsigned SIMD = CONFIG_T::simd;
    const unsigned PE = out_T::size;
    const unsigned SF = CONFIG_T::n_units / SIMD;
    const unsigned NF = CONFIG_T::n_units / PE;
    const unsigned K = PHASE::n_dots;

    operand_t vector[SF][SIMD]; // kept for the folds nf > 0, while `target` is written
    #pragma HLS ARRAY_RESHAPE variable=vector complete dim=2
    sum_t acc[PE][K];
    #pragma HLS ARRAY_PARTITION variable=acc complete dim=0

    unsigned sf = 0;
    unsigned nf = 0;
    for (unsigned i = 0; i < NF * SF; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        // `source` is read in the first output fold, before its elements are written again.
        #pragma HLS DEPENDENCE variable=source type=inter false
        #pragma HLS DEPENDENCE variable=target type=inter false
        #pragma HLS DEPENDENCE variable=units type=inter false
        CALOCC_TICK();
        operand_t x[SIMD];
        #pragma HLS ARRAY_PARTITION variable=x complete
        for (unsigned l = 0; l < SIMD; l++) {
            if (nf == 0)
                vector[sf][l] = fresh ? operand_t(0) : operand_t(source[sf][l]);
            x[l] = vector[sf][l];
        }
        for (unsigned pe = 0; pe < PE; pe++) {
            for (unsigned k = 0; k < K; k++) {
                sum_t sum = sf == 0 ? sum_t(0) : acc[pe][k];
                for (unsigned l = 0; l < SIMD; l++)
                    sum += exact::product(weights[pe * K + k][i][l], x[l]);
                acc[pe][k] = sum;
            }
        }
        if (sf + 1 < SF) {
            sf++;
            continue;
        }

        in_T beat;
        if (is_first)
            beat = in.read();
        out_T y;
        for (unsigned pe = 0; pe < PE; pe++) {
            typename PHASE::accum_t sums[K];
            #pragma HLS ARRAY_PARTITION variable=sums complete
            for (unsigned k = 0; k < K; k++)
                sums[k] = exact::total(acc[pe][k]);
            typename in_T::value_type gates[CONFIG_T::n_gates];
            #pragma HLS ARRAY_PARTITION variable=gates complete
            for (unsigned g = 0; is_first && g < CONFIG_T::n_gates; g++)
                gates[g] = beat[pe * CONFIG_T::n_gates + g];
            typename CONFIG_T::unit_t unit;
            if (fresh)
                unit.clear();
            else
                unit = units[nf][pe];
            typename NEXT::vector_t element;
            const channel at = {nf, pe, PE};
            PHASE::apply(sums, gates, unit, element, y[pe], at);
            units[nf][pe] = unit;
            const unsigned place = nf * PE + pe;
            target[place / SIMD][place % SIMD] = next::operand(element);
        }
        if (is_last && writes)
            out.write(y);
        sf = 0;
        nf++;
    }
}

// Steps of one phase.
template <class in_T, class out_T, typename CONFIG_T>
void recurrent(
    hls::stream<in_T> &in, hls::stream<out_T> &out,
    const typename CONFIG_T::phase0::weight_t (
        &weights)[out_T::size * CONFIG_T::phase0::n_dots]
                 [(CONFIG_T::n_units / out_T::size) * (CONFIG_T::n_units / CONFIG_T::simd)]
                 [CONFIG_T::simd]) {
    typedef typename CONFIG_T::phase0 only;
    typedef products<typename only::accum_t, typename only::weight_t, typename only::vector_t> exact;
    static_assert(CONFIG_T::n_units % CONFIG_T::simd == 0, "simd must divide the units");
    static_assert(CONFIG_T::simd % out_T::size == 0, "PE must divide simd");
    static_assert(in_T::size == out_T::size * CONFIG_T::n_gates, "a beat holds whole units");

    #pragma HLS ARRAY_PARTITION variable=weights complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=weights complete dim=3
    if (only::weight_storage == storage::lutram) {
        #pragma HLS BIND_STORAGE variable=weights type=rom_1p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=weights type=rom_1p impl=bram
    }
    typename exact::operand_t state[CONFIG_T::n_units / CONFIG_T::simd][CONFIG_T::simd];
    #pragma HLS ARRAY_PARTITION variable=state complete dim=2
    typename CONFIG_T::unit_t units[CONFIG_T::n_units / out_T::size][out_T::size];
    #pragma HLS ARRAY_PARTITION variable=units complete dim=2

    for (unsigned step = 0; step < CONFIG_T::n_steps; step++) {
        const bool writes = CONFIG_T::sequences || step + 1 == CONFIG_T::n_steps;
        recurrent_phase<only, only, CONFIG_T, true, true>(in, out, step == 0, writes, weights,
                                                          state, state, units);
    }
}

// Steps of two phases.
template <class in_T, class out_T, typename CONFIG_T>
void recurrent(
    hls::stream<in_T> &in, hls::stream<out_T> &out,
    const typename CONFIG_T::phase0::weight_t (
        &weights0)[out_T::size * CONFIG_T::phase0::n_dots]
                  [(CONFIG_T::n_units / out_T::size) * (CONFIG_T::n_units / CONFIG_T::simd)]
                  [CONFIG_T::simd],
    const typename CONFIG_T::phase1::weight_t (
        &weights1)[out_T::size * CONFIG_T::phase1::n_dots]
                  [(CONFIG_T::n_units / out_T::size) * (CONFIG_T::n_units / CONFIG_T::simd)]
                  [CONFIG_T::simd]) {
    typedef typename CONFIG_T::phase0 one;
    typedef typename CONFIG_T::phase1 two;
    typedef products<typename one::accum_t, typename one::weight_t, typename one::vector_t> exact0;
    typedef products<typename two::accum_t, typename two::weight_t, typename two::vector_t> exact1;
    static_assert(CONFIG_T::n_units % CONFIG_T::simd == 0, "simd must divide the units");
    static_assert(CONFIG_T::simd % out_T::size == 0, "PE must divide simd");
    static_assert(in_T::size == out_T::size * CONFIG_T::n_gates, "a beat holds whole units");

    #pragma HLS ARRAY_PARTITION variable=weights0 complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=weights0 complete dim=3
    #pragma HLS ARRAY_PARTITION variable=weights1 complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=weights1 complete dim=3
    if (one::weight_storage == storage::lutram) {
        #pragma HLS BIND_STORAGE variable=weights0 type=rom_1p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=weights0 type=rom_1p impl=bram
    }
    if (two::weight_storage == storage::lutram) {
        #pragma HLS BIND_STORAGE variable=weights1 type=rom_1p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=weights1 type=rom_1p impl=bram
    }
    typename exact0::operand_t state[CONFIG_T::n_units / CONFIG_T::simd][CONFIG_T::simd];
    typename exact1::operand_t between[CONFIG_T::n_units / CONFIG_T::simd][CONFIG_T::simd];
    #pragma HLS ARRAY_PARTITION variable=state complete dim=2
    #pragma HLS ARRAY_PARTITION variable=between complete dim=2
    typename CONFIG_T::unit_t units[CONFIG_T::n_units / out_T::size][out_T::size];
    #pragma HLS ARRAY_PARTITION variable=units complete dim=2

    for (unsigned step = 0; step < CONFIG_T::n_steps; step++) {
        const bool writes = CONFIG_T::sequences || step + 1 == CONFIG_T::n_steps;
        recurrent_phase<one, two, CONFIG_T, true, false>(in, out, step == 0, false, weights0,
                                                         state, between, units);
        recurrent_phase<two, one, CONFIG_T, false, true>(in, out, false, writes, weights1,
                                                         between, state, units);
    }
}

} // namespace nnet

#endif
