#ifndef CALOCC_UPSAMPLE_H_
#define CALOCC_UPSAMPLE_H_

#include "calocc_types.h"

namespace nnet {

// Nearest-neighbour upsampling of an image: (in_height, in_width, n_chan) to (in_height *
// height_factor, in_width * width_factor, n_chan). Equal lanes, dividing n_chan.
//
// CONFIG_T: in_height, in_width, n_chan, height_factor, width_factor. One iteration per output
// beat; the first copy of each pixel reads, the others come from a buffer of one row.
template <class in_T, class out_T, typename CONFIG_T>
void upsample(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned L = in_T::size;
    const unsigned W = CONFIG_T::in_width;
    const unsigned folds = CONFIG_T::n_chan / L;
    const unsigned row_beats = W * folds;
    const unsigned trips =
        CONFIG_T::in_height * CONFIG_T::height_factor * CONFIG_T::width_factor * row_beats;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the channels");
    static_assert(out_T::size == L, "upsampling keeps the lanes");

    elem_t line[row_beats][L];
    #pragma HLS ARRAY_RESHAPE variable=line complete dim=2
    if (row_beats <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=line type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=line type=ram_s2p impl=bram
    }

    unsigned row_copy = 0;
    unsigned first = 0; // beat of the row at which the pixel starts
    unsigned col_copy = 0;
    unsigned fold = 0;
    for (unsigned i = 0; i < trips; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        out_T y;
        if (row_copy == 0 && col_copy == 0) {
            const in_T x = in.read();
            for (unsigned l = 0; l < L; l++) {
                line[first + fold][l] = x[l];
                y[l] = x[l];
            }
        } else {
            for (unsigned l = 0; l < L; l++)
                y[l] = line[first + fold][l];
        }
        out.write(y);

        if (fold + 1 < folds) {
            fold++;
            continue;
        }
        fold = 0;
        if (col_copy + 1 < CONFIG_T::width_factor) {
            col_copy++;
            continue;
        }
        col_copy = 0;
        if (first + folds < row_beats) {
            first += folds;
            continue;
        }
        first = 0;
        row_copy = row_copy + 1 < CONFIG_T::height_factor ? row_copy + 1 : 0;
    }
}

} // namespace nnet

#endif
