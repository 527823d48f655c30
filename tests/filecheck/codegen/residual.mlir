// RUN: calocc-opt %s -t vitis | filecheck %s --check-prefix=TOP
// RUN: calocc-opt %s -t 'vitis{file="parameters.h"}' | filecheck %s --check-prefix=CONFIG
// RUN: calocc-opt %s -t 'vitis{file="defines.h"}' | filecheck %s --check-prefix=TYPES

// A convolution and a maximum beside each other, from a fork to a sum.

// TOP:      hls::stream<layer4_1_t> relu_fork_1_out("relu_fork_1_out");
// TOP-NEXT: #pragma HLS STREAM variable=relu_fork_1_out depth=4
// TOP:      hls::stream<layer4_2_t> relu_fork_2_out("relu_fork_2_out");
// TOP-NEXT: #pragma HLS STREAM variable=relu_fork_2_out depth=14
// TOP:      nnet::lanes<input_t, layer2_t, config2>(x0, input_lanes_out); // input
// TOP-NEXT: nnet::map<layer2_t, layer3_t, config3>(input_lanes_out, scale_map_out); // scale
// TOP-NEXT: nnet::fork<layer3_t, config4>(scale_map_out, relu_fork_1_out, relu_fork_2_out); // relu
// TOP-NEXT: nnet::window<layer4_1_t, layer5_t, config5>(relu_fork_1_out, conv_window_out); // conv
// TOP-NEXT: nnet::matvec<layer5_t, layer6_t, config6>(conv_window_out, conv_out, w6); // conv
// TOP-NEXT: nnet::window<layer4_2_t, layer7_t, config7>(relu_fork_2_out, pool_window_out); // pool
// TOP-NEXT: nnet::reduce<layer7_t, layer8_t, config8>(pool_window_out, pool_reduce_out); // pool
// TOP-NEXT: nnet::map<layer6_t, layer8_t, layer9_t, config9>(conv_out, pool_reduce_out, join_map_out); // join
// TOP-NEXT: nnet::lanes<layer9_t, result_t, config10>(join_map_out, output_lanes_out); // output

// CONFIG:      // scale: map
// CONFIG-NEXT: struct config3 {
// CONFIG-NEXT:   static const unsigned n_beats = 32;
// CONFIG-NEXT:   static const unsigned n_chan = 2;
// CONFIG-NEXT:   static const unsigned n_pixels = 1;
// CONFIG-NEXT:   static layer3_t::value_type apply(const layer2_t::value_type &x, const nnet::channel at) {
// CONFIG:          static const ap_fixed<3, 1> scale[2][1] = {
// CONFIG-NEXT:       0.5, 0.25};
// CONFIG:          const ap_ufixed<4, 0> product = x * scale[at.fold][at.lane];
// CONFIG:      struct config4 {
// CONFIG-NEXT:   static const unsigned n_beats = 32;
// CONFIG:      // conv: window
// CONFIG-NEXT: struct config5 {
// CONFIG-NEXT:   static const unsigned in_height = 4;
// CONFIG:        static const unsigned filt_height = 2;
// CONFIG:        static const unsigned stride_width = 2;
// CONFIG:        static const unsigned trips = 58;
// CONFIG-NEXT:   static layer4_1_t::value_type pad_value() { return 0; }
// CONFIG:      // pool: reduce
// CONFIG-NEXT: struct config8 {
// CONFIG-NEXT:   typedef ap_ufixed<3, 1> accum_t;
// CONFIG-NEXT:   typedef nnet::identity<layer8_t::value_type> epilogue;
// CONFIG-NEXT:   static const unsigned n_positions = 4;
// CONFIG-NEXT:   static const unsigned n_taps = 4;
// CONFIG-NEXT:   static const unsigned n_chan = 2;
// CONFIG-NEXT:   static const unsigned n_pixels = 1;
// CONFIG-NEXT:   static accum_t combine(const accum_t &acc, const layer7_t::value_type &x) { return x > acc ? accum_t(x) : acc; }
// CONFIG:      // join: map
// CONFIG:        apply(const layer6_t::value_type &a, const layer8_t::value_type &b, const nnet::channel) {
// CONFIG:          const ap_ufixed<4, 2> sum = a + b;

// All copies of a fork have their own names for one type.
// TYPES:      typedef nnet::array<ap_ufixed<3, 1>, 1> layer4_1_t; // relu_fork_1_out
// TYPES-NEXT: typedef nnet::array<ap_ufixed<3, 1>, 1> layer4_2_t; // relu_fork_2_out

builtin.module {
  func.func @main(%0: !dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 2> {calocc.name = "x0", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<2x2x2x!fixed.num<u4, 2>>, 2> {calocc.name = "y0"}) {
    %1 = dataflow.lanes %0 {layer = "input", depths = array<i64: 4>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 2>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 1>
    %2 = dataflow.map %1 {layer = "scale", depths = array<i64: 6>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 1>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 1> {
    ^bb0(%3: !fixed.num<u3, 1>):
      %4 = fixed.constant <b25dfd29c09617dcc : tensor<2xi8>> : !fixed.num<s3, 1>
      %5 = fixed.mul %3, %4 : (!fixed.num<u3, 1>, !fixed.num<s3, 1>) -> !fixed.num<u4, 0>
      %6 = fixed.quantize %5 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<u4, 0>) -> !fixed.num<u3, 1>
      fixed.yield %6 : !fixed.num<u3, 1>
    }
    %7, %8 = dataflow.fork %2 {layer = "relu", depths = array<i64: 4, 14>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 1>) -> (!dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 1>, !dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 1>)
    %9 = dataflow.window %7 {size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, fill = 0 : i64, layer = "conv", depths = array<i64: 8>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 1>) -> !dataflow.stream<tensor<2x2x8x!fixed.num<u3, 1>>, 1>
    %10 = dataflow.matvec %9 {weights = #fixed.blob<b9a549e26e5f2d707 : tensor<8x2xi8>>, weight_type = !fixed.num<s2, 1>, layer = "conv", depths = array<i64: 3>} : (!dataflow.stream<tensor<2x2x8x!fixed.num<u3, 1>>, 1>) -> !dataflow.stream<tensor<2x2x2x!fixed.num<u3, 1>>, 1> {
    ^bb0(%11: !fixed.num<s7, 4>):
      %12 = fixed.quantize %11 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<s7, 4>) -> !fixed.num<u3, 1>
      fixed.yield %12 : !fixed.num<u3, 1>
    }
    %13 = dataflow.window %8 {size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, fill = 0 : i64, layer = "pool", depths = array<i64: 8>} : (!dataflow.stream<tensor<4x4x2x!fixed.num<u3, 1>>, 1>) -> !dataflow.stream<tensor<2x2x8x!fixed.num<u3, 1>>, 1>
    %14 = dataflow.reduce %13 {kind = #qnn<pooling max>, layer = "pool", depths = array<i64: 2>} : (!dataflow.stream<tensor<2x2x8x!fixed.num<u3, 1>>, 1>) -> !dataflow.stream<tensor<2x2x2x!fixed.num<u3, 1>>, 1> {
    ^bb0(%15: !fixed.num<u3, 1>):
      fixed.yield %15 : !fixed.num<u3, 1>
    }
    %16 = dataflow.map %10, %14 {layer = "join", depths = array<i64: 2>} : (!dataflow.stream<tensor<2x2x2x!fixed.num<u3, 1>>, 1>, !dataflow.stream<tensor<2x2x2x!fixed.num<u3, 1>>, 1>) -> !dataflow.stream<tensor<2x2x2x!fixed.num<u4, 2>>, 1> {
    ^bb0(%17: !fixed.num<u3, 1>, %18: !fixed.num<u3, 1>):
      %19 = fixed.add %17, %18 : (!fixed.num<u3, 1>, !fixed.num<u3, 1>) -> !fixed.num<u4, 2>
      %20 = fixed.quantize %19 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<u4, 2>) -> !fixed.num<u4, 2>
      fixed.yield %20 : !fixed.num<u4, 2>
    }
    %21 = dataflow.lanes %16 {layer = "output", depths = array<i64: 2>} : (!dataflow.stream<tensor<2x2x2x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<2x2x2x!fixed.num<u4, 2>>, 2>
    func.return %21 : !dataflow.stream<tensor<2x2x2x!fixed.num<u4, 2>>, 2>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b25dfd29c09617dcc: "0x0201",b9a549e26e5f2d707: "0x00fffffefefefe010001000001000000"
    }
  }
#-}
