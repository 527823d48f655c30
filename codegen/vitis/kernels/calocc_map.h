#ifndef CALOCC_MAP_H_
#define CALOCC_MAP_H_

#include "calocc_types.h"

namespace nnet {

// Element-wise functions of one or two tensors.
//
// in, out: n_beats beats of tensors whose last axis has n_chan elements, equal lanes (dividing
// n_chan). CONFIG_T: n_beats, n_chan, and `apply(x, channel)` or `apply(a, b, channel)`, which
// returns an element of the output.
//
// One iteration per beat.
template <class in_T, class out_T, typename CONFIG_T>
void map(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    const unsigned L = in_T::size;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the last axis");
    static_assert(out_T::size == L, "a map keeps the lanes");
    unsigned fold = 0;
    for (unsigned i = 0; i < CONFIG_T::n_beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const in_T x = in.read();
        out_T y;
        for (unsigned l = 0; l < L; l++) {
            const channel at = {fold, l, L};
            y[l] = CONFIG_T::apply(x[l], at);
        }
        out.write(y);
        fold = fold + 1 < CONFIG_T::n_chan / L ? fold + 1 : 0;
    }
}

template <class a_T, class b_T, class out_T, typename CONFIG_T>
void map(hls::stream<a_T> &in_a, hls::stream<b_T> &in_b, hls::stream<out_T> &out) {
    const unsigned L = a_T::size;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the last axis");
    static_assert(b_T::size == L && out_T::size == L, "a map keeps the lanes");
    unsigned fold = 0;
    for (unsigned i = 0; i < CONFIG_T::n_beats; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const a_T a = in_a.read();
        const b_T b = in_b.read();
        out_T y;
        for (unsigned l = 0; l < L; l++) {
            const channel at = {fold, l, L};
            y[l] = CONFIG_T::apply(a[l], b[l], at);
        }
        out.write(y);
        fold = fold + 1 < CONFIG_T::n_chan / L ? fold + 1 : 0;
    }
}

} // namespace nnet

#endif
