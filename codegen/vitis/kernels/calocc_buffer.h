#ifndef CALOCC_BUFFER_H_
#define CALOCC_BUFFER_H_

#include "calocc_types.h"

namespace nnet {

// Sends the beats of each of n_outer blocks with their axes in another order, as numpy.transpose
// does.
//
// CONFIG_T: n_outer, n_words (beats of a block), rank, and for each axis of a block, in the order of
// the output, `static unsigned size(unsigned axis)` and `static unsigned stride(unsigned axis)`, the
// distance of neighbours in the input in beats. Lanes are equal.
//
// (n_outer + 1) * n_words iterations: each block comes in while the block before goes out.
template <class in_T, class out_T, typename CONFIG_T>
void buffer(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned L = in_T::size;
    const unsigned R = CONFIG_T::rank;
    const unsigned words = CONFIG_T::n_words;
    const unsigned banks = CONFIG_T::n_outer > 1 ? 2 : 1;
    static_assert(out_T::size == L, "a buffer keeps the lanes");

    elem_t memory[banks * words][L];
    #pragma HLS ARRAY_RESHAPE variable=memory complete dim=2
    if (banks * words <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=memory type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=memory type=ram_s2p impl=bram
    }

    unsigned index[R]; // of the next beat to send
    #pragma HLS ARRAY_PARTITION variable=index complete
    for (unsigned k = 0; k < R; k++) {
        #pragma HLS UNROLL
        index[k] = 0;
    }
    unsigned from = 0; // its place in its block
    unsigned to = 0;   // place of the next beat to keep
    unsigned block = 0;
    for (unsigned i = 0; i < (CONFIG_T::n_outer + 1) * words; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const unsigned fill = banks > 1 && block % 2 == 1 ? words : 0;
        const unsigned drain = banks > 1 && block % 2 == 0 ? words : 0;
        if (block > 0) {
            out_T y;
            for (unsigned l = 0; l < L; l++)
                y[l] = memory[drain + from][l];
            out.write(y);

            // The last axis that does not wrap advances, those behind it start anew.
            bool advance = true;
            unsigned rewound = 0;
            unsigned next = 0;
            for (unsigned n = 0; n < R; n++) {
                const unsigned k = R - 1 - n;
                const bool wraps = index[k] + 1 == CONFIG_T::size(k);
                if (advance) {
                    index[k] = wraps ? 0 : index[k] + 1;
                    if (!wraps)
                        next = from + CONFIG_T::stride(k) - rewound;
                }
                advance = advance && wraps;
                rewound += (CONFIG_T::size(k) - 1) * CONFIG_T::stride(k);
            }
            from = next;
        }
        if (block < CONFIG_T::n_outer) {
            const in_T x = in.read();
            for (unsigned l = 0; l < L; l++)
                memory[fill + to][l] = x[l];
        }
        if (to + 1 < words) {
            to++;
        } else {
            to = 0;
            block++;
        }
    }
}

} // namespace nnet

#endif
