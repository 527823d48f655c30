#ifndef CALOCC_MAP_H_
#define CALOCC_MAP_H_

#include "calocc_types.h"

namespace nnet {

// Element-wise functions of one or two tensors.
//
// in, out: n_beats beats of tensors whose last axis has n_chan elements, all of equal size.
// CONFIG_T: n_beats, n_chan, n_pixels, and `apply(x, channel)` or `apply(a, b, channel)`, which
// returns an element of the output.
//
// One iteration per beat.
template <class in_T, class out_T, typename CONFIG_T>
void map(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    const unsigned L = in_T::size / CONFIG_T::n_pixels;
    const unsigned folds = parts_of<CONFIG_T::n_chan, L>::value;
    static_assert(out_T::size == in_T::size, "a map keeps the lanes");
    unsigned fold = 0;
    for (unsigned i = 0; i < CONFIG_T::n_beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const in_T x = in.read();
        out_T y;
        for (unsigned l = 0; l < out_T::size; l++) {
            const channel at = {fold, l % L, L};
            y[l] = CONFIG_T::apply(x[l], at);
        }
        out.write(y);
        fold = fold + 1 < folds ? fold + 1 : 0;
    }
}

template <class a_T, class b_T, class out_T, typename CONFIG_T>
void map(hls::stream<a_T> &in_a, hls::stream<b_T> &in_b, hls::stream<out_T> &out) {
    const unsigned L = a_T::size / CONFIG_T::n_pixels;
    const unsigned folds = parts_of<CONFIG_T::n_chan, L>::value;
    static_assert(b_T::size == a_T::size && out_T::size == a_T::size, "a map keeps the lanes");
    unsigned fold = 0;
    for (unsigned i = 0; i < CONFIG_T::n_beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const a_T a = in_a.read();
        const b_T b = in_b.read();
        out_T y;
        for (unsigned l = 0; l < out_T::size; l++) {
            const channel at = {fold, l % L, L};
            y[l] = CONFIG_T::apply(a[l], b[l], at);
        }
        out.write(y);
        fold = fold + 1 < folds ? fold + 1 : 0;
    }
}

} // namespace nnet

#endif
