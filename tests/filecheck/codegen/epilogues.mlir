// RUN: calocc-opt %s -t 'vitis{file="parameters.h"}' | filecheck %s

// Thresholds per channel and for all channels, a table, and a cast that drops every bit.

// CHECK:      static const ap_fixed<4, 4> thresholds[4][1][3] = {
// CHECK-NEXT:   -4, 0, 3, -2, 0, 5, -1, 1, 1, 0, 2, 4};
// CHECK-NEXT: #pragma HLS ARRAY_PARTITION variable=thresholds complete dim=2
// CHECK-NEXT: ap_int<4> level = -1;
// CHECK-NEXT: for (unsigned k = 0; k < 3; k++) {
// CHECK-NEXT:   #pragma HLS UNROLL
// CHECK-NEXT:   level += x >= thresholds[at.fold][at.lane][k] ? 1 : 0;
// CHECK-NEXT: }
// CHECK-NEXT: ap_fixed<3, 3> quantized;
// CHECK-NEXT: quantized.range() = level.range(2, 0);
// CHECK-NEXT: static const ap_ufixed<1, 1> thresholds_2[2] = {
// CHECK-NEXT:   0, 1};
// CHECK-NEXT: #pragma HLS ARRAY_PARTITION variable=thresholds_2 complete
// CHECK-NEXT: ap_int<3> level_2 = 0;
// CHECK:        level_2 += quantized >= thresholds_2[k] ? 1 : 0;
// CHECK:      static const nnet::entry<4>::type table[3] = {
// CHECK-NEXT:   5, -3, 7};
// CHECK-NEXT: ap_uint<2> mantissa;
// CHECK-NEXT: mantissa.range() = quantized_2.range();
// CHECK-NEXT: const ap_int<4> entry = nnet::looked_up(table, mantissa);
// CHECK-NEXT: ap_fixed<4, 2> looked_up;
// CHECK-NEXT: looked_up.range() = entry.range(3, 0);
// CHECK-NEXT: const ap_fixed<2, 6, AP_RND, AP_SAT> quantized_3 = ap_fixed<7, 5>(looked_up);
// CHECK-NEXT: return quantized_3;

builtin.module {
  func.func @main(%0: !dataflow.stream<tensor<4x!fixed.num<s5, 5>>, 4> {calocc.name = "x0", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<4x!fixed.num<s2, 6>>, 4> {calocc.name = "y0"}) {
    %1 = dataflow.lanes %0 {layer = "input", depths = array<i64: 4>} : (!dataflow.stream<tensor<4x!fixed.num<s5, 5>>, 4>) -> !dataflow.stream<tensor<4x!fixed.num<s5, 5>>, 1>
    %2 = dataflow.map %1 {layer = "steps", depths = array<i64: 4>} : (!dataflow.stream<tensor<4x!fixed.num<s5, 5>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<s2, 6>>, 1> {
    ^bb0(%3: !fixed.num<s5, 5>):
      %4 = fixed.threshold %3 {thresholds = #fixed.blob<b9725101cb6745799 : tensor<4x3xi8>>, base = -1 : i64} : (!fixed.num<s5, 5>) -> !fixed.num<s3, 3>
      %5 = fixed.threshold %4 {thresholds = #fixed.blob<bb413f47d13ee2fe6 : tensor<1x2xi8>>, base = 0 : i64} : (!fixed.num<s3, 3>) -> !fixed.num<u2, 1>
      %6 = fixed.lookup %5 {table = #fixed.blob<b693fb8ac26def18a : tensor<3xi8>>, origin = 0 : i64} : (!fixed.num<u2, 1>) -> !fixed.num<s4, 2>
      %7 = fixed.quantize %6 {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<s4, 2>) -> !fixed.num<s2, 6>
      fixed.yield %7 : !fixed.num<s2, 6>
    }
    %8 = dataflow.lanes %2 {layer = "output", depths = array<i64: 2>} : (!dataflow.stream<tensor<4x!fixed.num<s2, 6>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<s2, 6>>, 4>
    func.return %8 : !dataflow.stream<tensor<4x!fixed.num<s2, 6>>, 4>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b693fb8ac26def18a: "0x05fd07",b9725101cb6745799: "0xfc0003fe0005ff0101000204",bb413f47d13ee2fe6: "0x0001"
    }
  }
#-}
