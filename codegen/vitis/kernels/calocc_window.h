#ifndef CALOCC_WINDOW_H_
#define CALOCC_WINDOW_H_

#include "calocc_types.h"

namespace nnet {

// Puts x in the place of an element, which is returned.
template <class T> T exchange(T &place, const T &x) {
    #pragma HLS INLINE
    const T old = place;
    place = x;
    return old;
}

// Shift registers: puts x at the end and returns the first.
template <class T, unsigned N> T shift(T (&registers)[N], const T &x) {
    #pragma HLS INLINE
    const T oldest = registers[0];
    for (unsigned n = 0; n + 1 < N; n++)
        registers[n] = registers[n + 1];
    registers[N - 1] = x;
    return oldest;
}

// Sliding windows of an image (line buffer).
//
// in:  (in_height, in_width, n_chan), in_T::size lanes (divides n_chan)
// out: for each output pixel in raster order the elements (filt_height, filt_width, n_chan) of its
//      window, out_T::size lanes (divides their number; a beat may span several taps)
//
// CONFIG_T: in_height, in_width, n_chan, filt_height, filt_width, stride_height, stride_width,
// dilation_height, dilation_width, pad_top, pad_left, out_height, out_width, trips, and
// `static in_T::value_type pad_value()`. Padding below and to the right follows from out_height and
// out_width.
//
// The padded image has rows x cols slots, large enough for every window and every input pixel.
// In the phase of slot s pixel s is read while the window that slot s-1 completed is written; the
// last iteration of the phase moves the pixel (or padding) into line buffers and window. A phase
// lasts as long as the longer of the two transfers, at least one iteration; one phase more than
// there are slots writes the last window. `trips` is the sum of the phase lengths.
template <class in_T, class out_T, typename CONFIG_T>
void window(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned C = CONFIG_T::n_chan;
    const unsigned KH = CONFIG_T::filt_height;
    const unsigned KW = CONFIG_T::filt_width;
    const unsigned DH = CONFIG_T::dilation_height;
    const unsigned DW = CONFIG_T::dilation_width;
    const unsigned rows_spanned = (KH - 1) * DH + 1;
    const unsigned cols_spanned = (KW - 1) * DW + 1;
    const unsigned W = CONFIG_T::in_width;
    const unsigned L = in_T::size;
    const unsigned S = out_T::size;
    const unsigned in_beats = C / L;
    const unsigned out_beats = KH * KW * C / S;
    const unsigned both_beats = max_of<in_beats, out_beats>::value;
    const unsigned end_row = CONFIG_T::pad_top + CONFIG_T::in_height;
    const unsigned end_col = CONFIG_T::pad_left + W;
    const unsigned used_rows = (CONFIG_T::out_height - 1) * CONFIG_T::stride_height + rows_spanned;
    const unsigned used_cols = (CONFIG_T::out_width - 1) * CONFIG_T::stride_width + cols_spanned;
    const unsigned cols = max_of<used_cols, end_col>::value;
    const unsigned lines = max_of<KH - 1, 1>::value;
    const unsigned gaps = max_of<KW - 1, 1>::value;
    // An element reaches the row above after this many pixels, the next tap after DW slots.
    const unsigned line_delay = DH * W;
    const unsigned gap_delay = max_of<DW - 1, 1>::value;
    const bool line_rings = line_delay >= shortest_ring;
    const bool gap_rings = gap_delay >= shortest_ring;
    const unsigned line_slots = line_rings ? line_delay : 1;
    const unsigned gap_slots = gap_rings ? gap_delay : 1;
    static_assert(C % L == 0, "input lanes must divide the channels");
    static_assert(KH * KW * C % S == 0, "output lanes must divide the window");

    const elem_t padding = CONFIG_T::pad_value();

    // Between a row of the window and the row above it: the pixels of DH lines.
    elem_t line[lines][C][line_slots];
    #pragma HLS ARRAY_PARTITION variable=line complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=line complete dim=2
    elem_t short_line[lines][C][line_rings ? 1 : line_delay];
    #pragma HLS ARRAY_PARTITION variable=short_line complete dim=0
    if (line_slots <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=line type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=line type=ram_s2p impl=bram
    }
    // Between two taps of a row: the columns that dilation leaves out.
    elem_t gap[KH][gaps][C][gap_slots];
    #pragma HLS ARRAY_PARTITION variable=gap complete dim=1
    #pragma HLS ARRAY_PARTITION variable=gap complete dim=2
    #pragma HLS ARRAY_RESHAPE variable=gap complete dim=3
    elem_t short_gap[KH][gaps][C][gap_rings ? 1 : gap_delay];
    #pragma HLS ARRAY_PARTITION variable=short_gap complete dim=0
    if (gap_slots <= lutram_depth) {
        #pragma HLS BIND_STORAGE variable=gap type=ram_s2p impl=lutram
    } else {
        #pragma HLS BIND_STORAGE variable=gap type=ram_s2p impl=bram
    }
    // Beat-wise view of the window in order (row, column, channel).
    elem_t taps[out_beats][S];
    #pragma HLS ARRAY_PARTITION variable=taps complete dim=0
    elem_t pixel[in_beats][L];
    #pragma HLS ARRAY_PARTITION variable=pixel complete dim=0

    unsigned row = 0;
    unsigned col = 0;
    unsigned beat = 0;              // iteration within the phase
    unsigned rows_to_go = rows_spanned - 1; // slots until a window can end, per axis
    unsigned cols_to_go = cols_spanned - 1;
    unsigned line_at = 0;           // the oldest entry of every ring
    unsigned gap_at = 0;
    bool emit = false;              // the previous slot completed a window

    for (unsigned i = 0; i < CONFIG_T::trips; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        #pragma HLS DEPENDENCE variable=line type=inter dependent=false
        #pragma HLS DEPENDENCE variable=gap type=inter dependent=false
        CALOCC_TICK();
        const bool col_inside = col >= CONFIG_T::pad_left && col < end_col;
        const bool real = row >= CONFIG_T::pad_top && row < end_row && col_inside;

        if (real && beat < in_beats) {
            const in_T x = in.read();
            for (unsigned l = 0; l < L; l++)
                pixel[beat][l] = x[l];
        }
        if (emit && beat < out_beats) {
            out_T y;
            for (unsigned l = 0; l < S; l++)
                y[l] = taps[beat][l];
            out.write(y);
        }

        const unsigned length = emit ? (real ? both_beats : out_beats) : (real ? in_beats : 1);
        if (beat + 1 < length) {
            beat++;
            continue;
        }
        beat = 0;

        for (unsigned kh = 0; kh < KH; kh++) {
            for (unsigned j = 0; j < (KW - 1) * C; j++) {
                const unsigned to = kh * KW * C + j;
                elem_t moved = taps[(to + C) / S][(to + C) % S];
                if (gap_rings)
                    moved = exchange(gap[kh][j / C][j % C][gap_at], moved);
                else if (DW > 1)
                    moved = shift(short_gap[kh][j / C][j % C], moved);
                taps[to / S][to % S] = moved;
            }
        }
        for (unsigned c = 0; c < C; c++) {
            elem_t next = real ? pixel[c / L][c % L] : padding;
            for (unsigned above = 0; above < KH; above++) {
                const unsigned to = ((KH - above) * KW - 1) * C + c;
                taps[to / S][to % S] = next;
                if (above + 1 < KH) {
                    if (!col_inside)
                        next = padding;
                    else if (line_rings)
                        next = exchange(line[above][c][line_at], next);
                    else
                        next = shift(short_line[above][c], next);
                }
            }
        }
        if (col_inside)
            line_at = line_at + 1 < line_slots ? line_at + 1 : 0;
        gap_at = gap_at + 1 < gap_slots ? gap_at + 1 : 0;

        emit = rows_to_go == 0 && cols_to_go == 0 && row < used_rows && col < used_cols;
        if (col + 1 < cols) {
            col++;
            cols_to_go = cols_to_go == 0 ? CONFIG_T::stride_width - 1 : cols_to_go - 1;
        } else {
            col = 0;
            cols_to_go = cols_spanned - 1;
            row++;
            rows_to_go = rows_to_go == 0 ? CONFIG_T::stride_height - 1 : rows_to_go - 1;
        }
    }
}

} // namespace nnet

#endif
