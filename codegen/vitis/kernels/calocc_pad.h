#ifndef CALOCC_PAD_H_
#define CALOCC_PAD_H_

#include "calocc_types.h"

namespace nnet {

// Constant padding of an image: (in_height, in_width, n_chan) to (pad_top + in_height +
// pad_bottom, pad_left + in_width + pad_right, n_chan). Equal lanes, dividing n_chan.
//
// CONFIG_T: in_height, in_width, n_chan, pad_top, pad_bottom, pad_left, pad_right, and
// `static out_T::value_type pad_value()`. One iteration per output beat.
template <class in_T, class out_T, typename CONFIG_T>
void pad(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    const unsigned L = in_T::size;
    const unsigned folds = CONFIG_T::n_chan / L;
    const unsigned end_row = CONFIG_T::pad_top + CONFIG_T::in_height;
    const unsigned end_col = CONFIG_T::pad_left + CONFIG_T::in_width;
    const unsigned rows = end_row + CONFIG_T::pad_bottom;
    const unsigned cols = end_col + CONFIG_T::pad_right;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the channels");
    static_assert(out_T::size == L, "padding keeps the lanes");

    unsigned row = 0;
    unsigned col = 0;
    unsigned fold = 0;
    for (unsigned i = 0; i < rows * cols * folds; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        out_T y;
        if (row >= CONFIG_T::pad_top && row < end_row && col >= CONFIG_T::pad_left &&
            col < end_col) {
            const in_T x = in.read();
            for (unsigned l = 0; l < L; l++)
                y[l] = x[l];
        } else {
            for (unsigned l = 0; l < L; l++)
                y[l] = CONFIG_T::pad_value();
        }
        out.write(y);

        if (fold + 1 < folds) {
            fold++;
        } else {
            fold = 0;
            if (col + 1 < cols) {
                col++;
            } else {
                col = 0;
                row++;
            }
        }
    }
}

} // namespace nnet

#endif
