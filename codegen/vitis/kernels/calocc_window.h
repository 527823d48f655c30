#ifndef CALOCC_WINDOW_H_
#define CALOCC_WINDOW_H_

#include "calocc_types.h"

namespace nnet {

// Sliding windows of an image (line buffer).
//
// in:  (in_height, in_width, n_chan), L lanes of each of P = in_pixels pixels
// out: for each output pixel in raster order the elements (filt_height, filt_width, n_chan) of its
//      window, S lanes of each of Q = out_pixels windows; a beat may span several taps
//
// CONFIG_T: in_height, in_width, n_chan, in_pixels, out_pixels, filt_height, filt_width,
// stride_height, stride_width, dilation_height, dilation_width, pad_top, pad_left, out_height,
// out_width, trips, and `static in_T::value_type pad_value()`. P divides Q * stride_width. Padding
// below and to the right follows from out_height and out_width.
//
// The padded image has rows x cols slots of P pixels, large enough for every window and every input
// pixel; where P does not divide the padding to the left, it is widened. In the phase of slot s its
// pixels are read while the windows that slot s-1 completed are written; the last iteration of the
// phase moves the pixels (or padding) into line buffers and window. A phase lasts as long as the
// longer of the two transfers, at least one iteration; one phase more than there are slots writes
// the last windows. `trips` is the sum of the phase lengths.
template <class in_T, class out_T, typename CONFIG_T>
void window(hls::stream<in_T> &in, hls::stream<out_T> &out) {
    typedef typename in_T::value_type elem_t;
    const unsigned C = CONFIG_T::n_chan;
    const unsigned P = CONFIG_T::in_pixels;
    const unsigned Q = CONFIG_T::out_pixels;
    const unsigned KH = CONFIG_T::filt_height;
    const unsigned KW = CONFIG_T::filt_width;
    const unsigned DH = CONFIG_T::dilation_height;
    const unsigned DW = CONFIG_T::dilation_width;
    const unsigned N = KH * KW * C;
    const unsigned W = CONFIG_T::in_width;
    const unsigned L = in_T::size / P;
    const unsigned S = out_T::size / Q;
    const unsigned in_beats = parts_of<C, L>::value;
    const unsigned out_beats = parts_of<N, S>::value;
    const unsigned both_beats = max_of<in_beats, out_beats>::value;
    static_assert(CONFIG_T::stride_width * Q % P == 0, "windows must end with slots");

    const unsigned rows_spanned = (KH - 1) * DH + 1;
    const unsigned cols_spanned = (KW - 1) * DW + 1;
    const unsigned end_row = CONFIG_T::pad_top + CONFIG_T::in_height;
    const unsigned used_rows = (CONFIG_T::out_height - 1) * CONFIG_T::stride_height + rows_spanned;
    // Along a row, in slots: where the image begins and ends, where the first Q windows end, how far
    // on the next ones do.
    const unsigned first_col = parts_of<CONFIG_T::pad_left, P>::value;
    const unsigned slots = parts_of<W, P>::value;
    const unsigned end_col = first_col + slots;
    const unsigned lead = first_col * P - CONFIG_T::pad_left; // pixels in front of the first window
    const unsigned first_end =
        (lead + (Q - 1) * CONFIG_T::stride_width + cols_spanned - 1) / P;
    const unsigned next_end = CONFIG_T::stride_width * Q / P;
    const unsigned used_cols =
        first_end + (parts_of<CONFIG_T::out_width, Q>::value - 1) * next_end + 1;
    const unsigned cols = max_of<used_cols, end_col>::value;

    // Columns that are held of each row, and how far apart the taps are in them: all from the first
    // window to the last slot, or, for one window of single pixels, the taps alone. Then those that
    // dilation leaves out are kept in rings.
    const bool taps_alone = P == 1 && Q == 1 && DW > 1;
    const unsigned held = taps_alone ? KW : (first_end + 1) * P - lead;
    const unsigned apart = taps_alone ? 1 : DW;
    const unsigned lines = max_of<KH - 1, 1>::value;
    const unsigned gaps = max_of<KW - 1, 1>::value;
    // Pixels reach the row above after this many slots, the next tap after DW slots.
    const unsigned line_delay = DH * slots;
    const unsigned gap_delay = max_of<DW - 1, 1>::value;
    const bool line_rings = line_delay >= shortest_ring;
    const bool gap_rings = gap_delay >= shortest_ring;
    const unsigned line_slots = line_rings ? line_delay : 1;
    const unsigned gap_slots = gap_rings ? gap_delay : 1;

    const elem_t padding = CONFIG_T::pad_value();

    // Between a row of the window and the row above it: the pixels of DH lines.
    elem_t line[lines][P * C][line_slots];
    #pragma HLS ARRAY_PARTITION variable=line complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=line complete dim=2
    elem_t short_line[lines][P * C][line_rings ? 1 : line_delay];
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
    elem_t strip[KH][held][C];
    #pragma HLS ARRAY_PARTITION variable=strip complete dim=0
    elem_t arrived[in_beats][P][L];
    #pragma HLS ARRAY_PARTITION variable=arrived complete dim=0

    unsigned row = 0;
    unsigned col = 0;
    unsigned beat = 0;                      // iteration within the phase
    unsigned rows_to_go = rows_spanned - 1; // slots until windows can end, per axis
    unsigned cols_to_go = first_end;
    unsigned line_at = 0; // the oldest entry of every ring
    unsigned gap_at = 0;
    bool emit = false; // the previous slot completed windows

    for (unsigned i = 0; i < CONFIG_T::trips; i++) {
        #pragma HLS PIPELINE II=1 style=frp
        #pragma HLS DEPENDENCE variable=line type=inter dependent=false
        #pragma HLS DEPENDENCE variable=gap type=inter dependent=false
        CALOCC_TICK();
        const bool col_inside = col >= first_col && col < end_col;
        const bool real = row >= CONFIG_T::pad_top && row < end_row && col_inside;

        if (real && beat < in_beats) {
            const in_T x = in.read();
            for (unsigned p = 0; p < P; p++)
                for (unsigned l = 0; l < L; l++)
                    arrived[beat][p][l] = x[p * L + l];
        }
        if (emit && beat < out_beats) {
            // The beats of the windows in order (row, column, channel); wires, of which simulation
            // needs only one.
            elem_t ready[out_beats][Q * S];
            #pragma HLS ARRAY_PARTITION variable=ready complete dim=0
            for (unsigned b = 0; b < out_beats; b++)
                if (is_synthesis || b == beat)
                    for (unsigned q = 0; q < Q; q++)
                        for (unsigned l = 0; l < S; l++) {
                            const unsigned n = b * S + l; // element of the window
                            const unsigned first = q * CONFIG_T::stride_width;
                            const unsigned tap = n / C % KW;
                            ready[b][q * S + l] =
                                n < N ? strip[n / C / KW][first + tap * apart][n % C] : elem_t(0);
                        }
            out_T y;
            for (unsigned l = 0; l < Q * S; l++)
                y[l] = ready[beat][l];
            out.write(y);
        }

        const unsigned length = emit ? (real ? both_beats : out_beats) : (real ? in_beats : 1);
        if (beat + 1 < length) {
            beat++;
            continue;
        }
        beat = 0;

        for (unsigned kh = 0; kh < KH; kh++)
            for (unsigned to = 0; to + P < held; to++)
                for (unsigned c = 0; c < C; c++) {
                    elem_t moved = strip[kh][to + P][c];
                    if (taps_alone && gap_rings)
                        moved = exchange(gap[kh][to % gaps][c][gap_at], moved);
                    else if (taps_alone)
                        moved = shift(short_gap[kh][to % gaps][c], moved);
                    strip[kh][to][c] = moved;
                }
        for (unsigned p = 0; p < P; p++) {
            // Pixels of the last slot may lie beyond the image.
            const bool there = real && (p < W - (slots - 1) * P || col + 1 < end_col);
            for (unsigned c = 0; c < C; c++) {
                elem_t next = there ? arrived[c / L][p][c % L] : padding;
                for (unsigned above = 0; above < KH; above++) {
                    if (p + held >= P)
                        strip[KH - 1 - above][p + held - P][c] = next;
                    if (above + 1 < KH) {
                        if (!col_inside)
                            next = padding;
                        else if (line_rings)
                            next = exchange(line[above][p * C + c][line_at], next);
                        else
                            next = shift(short_line[above][p * C + c], next);
                    }
                }
            }
        }
        if (col_inside)
            line_at = line_at + 1 < line_slots ? line_at + 1 : 0;
        gap_at = gap_at + 1 < gap_slots ? gap_at + 1 : 0;

        emit = rows_to_go == 0 && cols_to_go == 0 && row < used_rows && col < used_cols;
        if (col + 1 < cols) {
            col++;
            cols_to_go = cols_to_go == 0 ? next_end - 1 : cols_to_go - 1;
        } else {
            col = 0;
            cols_to_go = first_end;
            row++;
            rows_to_go = rows_to_go == 0 ? CONFIG_T::stride_height - 1 : rows_to_go - 1;
        }
    }
}

} // namespace nnet

#endif
