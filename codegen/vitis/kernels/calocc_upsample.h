#ifndef CALOCC_UPSAMPLE_H_
#define CALOCC_UPSAMPLE_H_

#include "calocc_types.h"

namespace nnet {

// Nearest-neighbour upsampling of an image: (in_height, in_width, n_chan) to (in_height *
// height_factor, in_width * width_factor, n_chan). Lanes divide n_chan; an output beat has copies of
// them side by side, as many as divide width_factor.
//
// CONFIG_T: in_height, in_width, n_chan, height_factor, width_factor. One iteration per output
// beat; the first copies of each pixel read, the others come from a buffer of one row.
template <class in_T, class out_T, typename CONFIG_T>
void upsample(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned L = in_T::size;
    const unsigned W = CONFIG_T::in_width;
    const unsigned folds = CONFIG_T::n_chan / L;
    const unsigned row_beats = W * folds;
    const unsigned copies = out_T::size / L;
    const unsigned times = CONFIG_T::width_factor / copies;
    const unsigned trips = CONFIG_T::in_height * CONFIG_T::height_factor * times * row_beats;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the channels");
    static_assert(out_T::size == L * copies && CONFIG_T::width_factor == times * copies,
                  "a beat must have whole copies, as many each time");

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
        in_T x;
        if (row_copy == 0 && col_copy == 0) {
            x = in.read();
            for (unsigned l = 0; l < L; l++)
                line[first + fold][l] = x[l];
        } else {
            for (unsigned l = 0; l < L; l++)
                x[l] = line[first + fold][l];
        }
        out_T y;
        for (unsigned l = 0; l < out_T::size; l++)
            y[l] = x[l % L];
        out.write(y);

        if (fold + 1 < folds) {
            fold++;
            continue;
        }
        fold = 0;
        if (col_copy + 1 < times) {
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
