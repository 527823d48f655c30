#ifndef CALOCC_LANES_H_
#define CALOCC_LANES_H_

#include "calocc_types.h"

namespace nnet {

// Changes the number of elements per beat; one of in_T::size and out_T::size divides the other.
//
// CONFIG_T: n_beats, the number of beats on the narrower side, which is the number of iterations.
// A wide input is read in the first, a wide output written in the last of the iterations it
// takes part in.
template <class in_T, class out_T, typename CONFIG_T>
void lanes(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned A = in_T::size;
    const unsigned B = out_T::size;
    const unsigned wide = max_of<A, B>::value;
    const unsigned narrow = A < B ? A : B;
    const unsigned ratio = wide / narrow;
    static_assert(A % B == 0 || B % A == 0, "one number of lanes must divide the other");

    elem_t parts[ratio][narrow];
    #pragma HLS ARRAY_PARTITION variable=parts complete dim=0

    unsigned phase = 0;
    for (unsigned i = 0; i < CONFIG_T::n_beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        if (A < B || phase == 0) {
            const in_T x = in.read();
            for (unsigned l = 0; l < A; l++)
                parts[A < B ? phase : l / narrow][l % narrow] = x[l];
        }
        if (A >= B || phase == ratio - 1) {
            out_T y;
            for (unsigned l = 0; l < B; l++)
                y[l] = parts[A < B ? l / narrow : phase][l % narrow];
            out.write(y);
        }
        phase = phase + 1 < ratio ? phase + 1 : 0;
    }
}

} // namespace nnet

#endif
