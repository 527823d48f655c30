#ifndef CALOCC_BUFFER_H_
#define CALOCC_BUFFER_H_

#include "calocc_types.h"

namespace nnet {

// Stores a tensor of rank 3 and sends it with its axes permuted, as numpy.transpose does. Tensors
// of lower rank have leading axes of size 1.
//
// in:  (dim0, dim1, dim2); out: axis k of the output is axis perm<k> of the input.
// Lanes are equal; more than one only if the last axis stays the last.
//
// CONFIG_T: dim0, dim1, dim2, perm0, perm1, perm2. n / lanes iterations that read, then as many
// that write.
template <class in_T, class out_T, typename CONFIG_T>
void buffer(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned L = in_T::size;
    const unsigned D0 = CONFIG_T::dim0;
    const unsigned D1 = CONFIG_T::dim1;
    const unsigned D2 = CONFIG_T::dim2 / L; // in beats, as all strides
    const unsigned words = D0 * D1 * D2;
    const unsigned P0 = CONFIG_T::perm0;
    const unsigned P1 = CONFIG_T::perm1;
    const unsigned P2 = CONFIG_T::perm2;
    const unsigned size1 = P1 == 0 ? D0 : P1 == 1 ? D1 : D2;
    const unsigned size2 = P2 == 0 ? D0 : P2 == 1 ? D1 : D2;
    const unsigned stride0 = P0 == 0 ? D1 * D2 : P0 == 1 ? D2 : 1;
    const unsigned stride1 = P1 == 0 ? D1 * D2 : P1 == 1 ? D2 : 1;
    const unsigned stride2 = P2 == 0 ? D1 * D2 : P2 == 1 ? D2 : 1;
    static_assert(P0 + P1 + P2 == 3 && P0 != P1 && P1 != P2 && P0 != P2 && P0 < 3 && P1 < 3,
                  "perm0, perm1, perm2 must be a permutation of 0, 1, 2");
    static_assert(CONFIG_T::dim2 % L == 0, "lanes must divide the last axis");
    static_assert(out_T::size == L, "a buffer keeps the lanes");
    static_assert(L == 1 || P2 == 2, "several lanes need the last axis to stay the last");

    elem_t memory[words][L];
    #pragma HLS ARRAY_RESHAPE variable=memory complete dim=2
    if (words <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=memory type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=memory type=ram_s2p impl=bram
    }

    unsigned index1 = 0;
    unsigned index2 = 0;
    unsigned offset0 = 0; // addresses of the first element along axes 0, 1 of the output
    unsigned offset1 = 0;
    unsigned offset2 = 0;
    for (unsigned i = 0; i < 2 * words; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        if (i < words) {
            const in_T x = in.read();
            for (unsigned l = 0; l < L; l++)
                memory[i][l] = x[l];
            continue;
        }
        out_T y;
        for (unsigned l = 0; l < L; l++)
            y[l] = memory[offset2][l];
        out.write(y);

        if (index2 + 1 < size2) {
            index2++;
            offset2 += stride2;
            continue;
        }
        index2 = 0;
        if (index1 + 1 < size1) {
            index1++;
            offset1 += stride1;
        } else {
            index1 = 0;
            offset0 += stride0;
            offset1 = offset0;
        }
        offset2 = offset1;
    }
}

} // namespace nnet

#endif
