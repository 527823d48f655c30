#ifndef CALOCC_REVERSE_H_
#define CALOCC_REVERSE_H_

#include "calocc_types.h"

namespace nnet {

// Stores a tensor and sends its rows from the last to the first.
//
// in, out: (n_rows, inner), equal lanes (dividing inner). CONFIG_T: n_rows, inner. An iteration per
// beat that reads, then one per beat that writes.
template <class in_T, class out_T, typename CONFIG_T>
void reverse(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned L = in_T::size;
    const unsigned beats = CONFIG_T::inner / L;
    const unsigned words = CONFIG_T::n_rows * beats;
    static_assert(CONFIG_T::inner % L == 0, "lanes must divide a row");
    static_assert(out_T::size == L, "a reversal keeps the lanes");

    elem_t memory[words][L];
    #pragma HLS ARRAY_RESHAPE variable=memory complete dim=2
    if (words <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=memory type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=memory type=ram_s2p impl=bram
    }

    unsigned row = words - beats; // address of the row that is sent
    unsigned beat = 0;
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
            y[l] = memory[row + beat][l];
        out.write(y);
        if (beat + 1 < beats) {
            beat++;
        } else {
            beat = 0;
            row -= beats; // leaves the memory behind the last beat only
        }
    }
}

} // namespace nnet

#endif
