#ifndef CALOCC_INTERPOLATE_H_
#define CALOCC_INTERPOLATE_H_

#include "calocc_types.h"

namespace nnet {

// How an axis grows by a factor: the outputs of a gap between two pixels have shares of the upper
// one that are odd multiples of 1 / unit (even factors), or all multiples up to 1 (odd factors).
template <unsigned factor> struct stretch {
    static const unsigned unit = factor % 2 == 0 ? 2 * factor : factor;
    static const unsigned step = unit / factor;
    static const unsigned head = factor / 2; // outputs that the first gap does not have
};

// lower * (unit - share) + upper * share, with one multiplier.
template <unsigned unit, class result_T, class T>
result_T between(const T &lower, const T &upper, unsigned share) {
    #pragma HLS INLINE
    const unsigned bits = bits_of<unit>::value;
    typedef ap_ufixed<bits, bits> share_t;
    return lower * share_t(unit) + (upper - lower) * share_t(share);
}

// Bilinear interpolation with half-pixel centres of an image that goes on as it ends: (in_height,
// in_width, n_chan) to (in_height * height_factor, in_width * width_factor, n_chan), times the
// units of both axes. Equal lanes, dividing n_chan.
//
// CONFIG_T: in_height, in_width, n_chan, height_factor, width_factor, column_t and accum_t, which
// hold pixels weighted down and both ways exactly, and `epilogue::apply(const accum_t &, channel)`.
//
// One iteration per output beat. A pixel is read by the first output that lies in front of it or
// on it; two rows are held, and of two neighbouring columns what is weighted down.
template <class in_T, class out_T, typename CONFIG_T>
void interpolate(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    typedef typename CONFIG_T::column_t column_t;
    typedef typename CONFIG_T::accum_t accum_t;
    typedef stretch<CONFIG_T::height_factor> down;
    typedef stretch<CONFIG_T::width_factor> across;
    const unsigned L = in_T::size;
    const unsigned H = CONFIG_T::in_height;
    const unsigned W = CONFIG_T::in_width;
    const unsigned folds = CONFIG_T::n_chan / L;
    const unsigned out_cols = W * CONFIG_T::width_factor;
    // Every row is read when it is output if there are no rows in between.
    const bool keeps_rows = CONFIG_T::height_factor > 1;
    const unsigned row_beats = keeps_rows ? W * folds : 1;
    static_assert(CONFIG_T::n_chan % L == 0, "lanes must divide the channels");
    static_assert(out_T::size == L, "interpolation keeps the lanes");

    // Rows with an even and with an odd number.
    elem_t line[2][row_beats][L];
    #pragma HLS ARRAY_PARTITION variable=line complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=line complete dim=3
    if (row_beats <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=line type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=line type=ram_s2p impl=bram
    }
    // Shift registers, as in `reduce`: a channel comes round every `folds` iterations.
    column_t left[folds][L];
    #pragma HLS ARRAY_PARTITION variable=left complete dim=0
    column_t right[folds][L];
    #pragma HLS ARRAY_PARTITION variable=right complete dim=0

    unsigned row_gap = 0; // the pixel below, H behind the last one
    unsigned row_step = down::head;
    unsigned col = 0;
    unsigned col_gap = 0;
    unsigned col_step = across::head;
    unsigned first = 0; // beat of a row at which the pixel on the right starts
    unsigned fold = 0;

    for (unsigned i = 0; i < H * CONFIG_T::height_factor * out_cols * folds; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        CALOCC_TICK();
        const bool new_row = row_gap < H && row_step == (row_gap == 0 ? down::head : 0);
        const bool new_col = col_step == (col_gap == 0 ? across::head : 0);
        const unsigned row_share = 1 + row_step * down::step;
        const unsigned col_share = 1 + col_step * across::step;
        const unsigned at = keeps_rows ? first + fold : 0;
        const bool odd = row_gap % 2 == 1;

        in_T x;
        if (new_row && new_col && col_gap < W)
            x = in.read();
        out_T y;
        for (unsigned l = 0; l < L; l++) {
            column_t before = left[0][l];
            column_t behind = right[0][l];
            if (new_col) {
                before = behind;
                if (col_gap < W) {
                    elem_t above = line[odd ? 0 : 1][at][l];
                    elem_t below = new_row ? x[l] : line[odd ? 1 : 0][at][l];
                    if (new_row && keeps_rows)
                        line[odd ? 1 : 0][at][l] = x[l];
                    if (row_gap == 0 || !keeps_rows)
                        above = below;
                    if (row_gap == H)
                        below = above;
                    behind = between<down::unit, column_t>(above, below, row_share);
                }
                if (col_gap == 0)
                    before = behind;
            }
            for (unsigned k = 0; k + 1 < folds; k++) {
                left[k][l] = left[k + 1][l];
                right[k][l] = right[k + 1][l];
            }
            left[folds - 1][l] = before;
            right[folds - 1][l] = behind;
            const channel at_channel = {fold, l, L};
            y[l] = CONFIG_T::epilogue::apply(
                between<across::unit, accum_t>(before, behind, col_share), at_channel);
        }
        out.write(y);

        if (fold + 1 < folds) {
            fold++;
            continue;
        }
        fold = 0;
        if (col + 1 < out_cols) {
            col++;
            if (col_step + 1 < CONFIG_T::width_factor) {
                col_step++;
            } else {
                col_step = 0;
                col_gap++;
                first += folds;
            }
            continue;
        }
        col = 0;
        col_gap = 0;
        col_step = across::head;
        first = 0;
        if (row_step + 1 < CONFIG_T::height_factor) {
            row_step++;
        } else {
            row_step = 0;
            row_gap++;
        }
    }
}

} // namespace nnet

#endif
