// RUN: calocc-opt %s -t vitis | filecheck %s --check-prefix=TOP
// RUN: calocc-opt %s -t 'vitis{file="design.h"}' | filecheck %s --check-prefix=HEADER
// RUN: calocc-opt %s -t 'vitis{file="defines.h"}' | filecheck %s --check-prefix=TYPES
// RUN: calocc-opt %s -t 'vitis{file="parameters.h"}' | filecheck %s --check-prefix=CONFIG
// RUN: calocc-opt %s -t 'vitis{file="weights/w3.h"}' | filecheck %s --check-prefix=WEIGHTS
// RUN: calocc-opt %s -t 'vitis{file="weights/w3.txt"}' | filecheck %s --check-prefix=VALUES

// A dense layer with bias and quantizer: names of layers, one kernel call per process.

// TOP:      #include "design.h"
// TOP:      void design(hls::stream<input_t> &x0, hls::stream<result_t> &output_lanes_out) {
// TOP-NEXT:   #pragma HLS INTERFACE axis port=x0
// TOP-NEXT:   #pragma HLS INTERFACE axis port=output_lanes_out
// TOP-NEXT:   #pragma HLS DATAFLOW
// TOP:        nnet::load_weights<weight3_t, 16>(w3, "w3.txt");
// TOP:        hls::stream<layer2_t> input_lanes_out("input_lanes_out");
// TOP-NEXT:   #pragma HLS STREAM variable=input_lanes_out depth=4
// TOP-NEXT:   #pragma HLS BIND_STORAGE variable=input_lanes_out type=fifo impl=srl
// TOP-NEXT:   hls::stream<layer3_t> fc_out("fc_out");
// TOP:        nnet::lanes<input_t, layer2_t, config2>(x0, input_lanes_out); // input
// TOP-NEXT:   nnet::matvec<layer2_t, layer3_t, config3>(input_lanes_out, fc_out, w3); // fc
// TOP-NEXT:   nnet::lanes<layer3_t, result_t, config4>(fc_out, output_lanes_out); // output
// TOP-NEXT: }

// HEADER:      #ifndef DESIGN_H_
// HEADER:      void design(hls::stream<input_t> &x0, hls::stream<result_t> &output_lanes_out);

// TYPES:      typedef nnet::array<ap_fixed<6, 2>, 4> input_t; // x0
// TYPES-NEXT: typedef nnet::array<ap_fixed<6, 2>, 1> layer2_t; // input_lanes_out
// TYPES-NEXT: typedef nnet::array<ap_ufixed<5, 2>, 1> layer3_t; // fc_out
// TYPES-NEXT: typedef nnet::array<ap_ufixed<5, 2>, 4> result_t; // output_lanes_out
// TYPES:      typedef ap_fixed<3, 2> weight3_t;

// CONFIG:      #include "nnet_utils/calocc_lanes.h"
// CONFIG-NEXT: #include "nnet_utils/calocc_matvec.h"
// CONFIG-NEXT: #include "nnet_utils/calocc_weights.h"
// CONFIG:      // fc: from sum to output
// CONFIG-NEXT: struct epilogue3 {
// CONFIG-NEXT:   static layer3_t::value_type apply(const ap_fixed<10, 5> &x, const nnet::channel at) {
// CONFIG-NEXT:     #pragma HLS INLINE
// CONFIG-NEXT:     static const ap_fixed<4, 3> bias[4][1] = {
// CONFIG-NEXT:       1, 0, 0, 3};
// CONFIG-NEXT:     #pragma HLS ARRAY_PARTITION variable=bias complete dim=2
// CONFIG-NEXT:     const ap_fixed<11, 6> sum = x + bias[at.fold][at.lane];
// CONFIG-NEXT:     const ap_ufixed<5, 2, AP_RND_CONV, AP_SAT> quantized = sum;
// CONFIG-NEXT:     return quantized;
// CONFIG:      // fc: matvec
// CONFIG-NEXT: struct config3 {
// CONFIG-NEXT:   typedef weight3_t weight_t;
// CONFIG-NEXT:   typedef ap_fixed<10, 5> accum_t;
// CONFIG-NEXT:   typedef epilogue3 epilogue;
// CONFIG-NEXT:   static const unsigned n_vectors = 1;
// CONFIG-NEXT:   static const unsigned n_pixels = 1;
// CONFIG-NEXT:   static const unsigned n_in = 4;
// CONFIG-NEXT:   static const unsigned n_out = 4;
// CONFIG-NEXT:   static const unsigned n_packed = 3;
// CONFIG-NEXT:   static const unsigned spacing = 9;
// CONFIG-NEXT:   static const unsigned wide_port = 27;
// CONFIG-NEXT:   static const bool in_logic = false;
// CONFIG-NEXT:   static const bool inputs_first = true;
// CONFIG-NEXT:   static const nnet::storage weight_storage = nnet::storage::lutram;
// CONFIG-NEXT: };

// WEIGHTS:      #ifndef __SYNTHESIS__
// WEIGHTS-NEXT: static weight3_t w3[1][16][1];
// WEIGHTS-NEXT: #else
// WEIGHTS-NEXT: static const weight3_t w3[1][16][1] = {
// WEIGHTS-NEXT: #include "w3.txt"
// WEIGHTS-NEXT: };

// Output by output, each with all its inputs.
// VALUES: 1, 0.5, 0, -1, -1, -2, -2, -2, -1.5, 1, 0.5, 1.5, 0, 0, 1.5, 0.5

builtin.module {
  func.func @main(%0: !dataflow.stream<tensor<4x!fixed.num<s6, 2>>, 4> {calocc.name = "x0", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 4> {calocc.name = "y0"}) {
    %1 = dataflow.lanes %0 {layer = "input", depths = array<i64: 4>} : (!dataflow.stream<tensor<4x!fixed.num<s6, 2>>, 4>) -> !dataflow.stream<tensor<4x!fixed.num<s6, 2>>, 1>
    %2 = dataflow.matvec %1 {weights = #fixed.blob<ba7bdfd676f6d8e13 : tensor<4x4xi8>>, weight_type = !fixed.num<s3, 2>, layer = "fc", depths = array<i64: 4>} : (!dataflow.stream<tensor<4x!fixed.num<s6, 2>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 1> {
    ^bb0(%3: !fixed.num<s10, 5>):
      %4 = fixed.constant <b9bf0ac8f9b4fe8eb : tensor<4xi8>> : !fixed.num<s4, 3>
      %5 = fixed.add %3, %4 : (!fixed.num<s10, 5>, !fixed.num<s4, 3>) -> !fixed.num<s11, 6>
      %6 = fixed.quantize %5 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<s11, 6>) -> !fixed.num<u5, 2>
      fixed.yield %6 : !fixed.num<u5, 2>
    }
    %7 = dataflow.lanes %2 {layer = "output", depths = array<i64: 2>} : (!dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 4>
    func.return %7 : !dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 4>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b9bf0ac8f9b4fe8eb: "0x02000006",ba7bdfd676f6d8e13: "0x020100fefefcfcfcfd02010300000301"
    }
  }
#-}
