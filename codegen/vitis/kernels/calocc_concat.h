#ifndef CALOCC_CONCAT_H_
#define CALOCC_CONCAT_H_

#include "calocc_types.h"

namespace nnet {

// Concatenation of two tensors along any axis: (n_outer, inner_a) and (n_outer, inner_b) to
// (n_outer, inner_a + inner_b), where n_outer is the product of the axes before the concatenated
// one and inner_* the product of the others. Equal lanes, dividing inner_a and inner_b. The
// element type of the output has to hold those of both inputs.
//
// CONFIG_T: n_outer, inner_a, inner_b. One iteration per output beat.
template <class a_T, class b_T, class out_T, typename CONFIG_T>
void concat(hls::stream<a_T> &in_a, hls::stream<b_T> &in_b, hls::stream<out_T> &out) {
    const unsigned L = out_T::size;
    const unsigned a_beats = CONFIG_T::inner_a / L;
    const unsigned beats = a_beats + CONFIG_T::inner_b / L;
    static_assert(a_T::size == L && b_T::size == L, "a concatenation keeps the lanes");
    static_assert(CONFIG_T::inner_a % L == 0, "lanes must divide inner_a");
    static_assert(CONFIG_T::inner_b % L == 0, "lanes must divide inner_b");

    unsigned beat = 0;
    for (unsigned i = 0; i < CONFIG_T::n_outer * beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        out_T y;
        if (beat < a_beats) {
            const a_T x = in_a.read();
            for (unsigned l = 0; l < L; l++)
                y[l] = x[l];
        } else {
            const b_T x = in_b.read();
            for (unsigned l = 0; l < L; l++)
                y[l] = x[l];
        }
        out.write(y);
        beat = beat + 1 < beats ? beat + 1 : 0;
    }
}

} // namespace nnet

#endif
