// RUN: calocc-opt %s -p lower-to-fixed,dce,partition-streams | filecheck %s

// Rows of four elements with three fraction bits. A spread is three or more units of 4^-3, plus
// epsilon: eight more bits let all reach 2^18, and epsilon is 0.001 * 4^2 * 4^11 = 67109 units.
// No result of four elements exceeds the square root of three.

func.func @main(%x: tensor<3x4xf32> {calocc.name = "x"}) -> (tensor<3x4xf32> {calocc.name = "y"}) {
  %i = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_bits(6,2,alpha=1.0)">} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  %n = qnn.layer_norm %i {epsilon = 1.000000e-03 : f64, layer = "norm"} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  %y = qnn.quantize %n {quantizer = #qnn.quantizer<"quantized_bits(5,1,alpha=1.0)">, layer = "cast"} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  func.return %y : tensor<3x4xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: !dataflow.stream<tensor<3x4x!fixed.num<s6, 3>>, 4> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<3x4x!fixed.num<s5, 2>>, 4> {calocc.name = "y", calocc.bound = 1.250000e-01 : f64}) {
// CHECK-NEXT:     %x_1 = dataflow.lanes %x {layer = "x"} : (!dataflow.stream<tensor<3x4x!fixed.num<s6, 3>>, 4>) -> !dataflow.stream<tensor<3x4x!fixed.num<s6, 3>>, 1>
// CHECK-NEXT:     %n = dataflow.layer_norm %x_1 {offset = 67109 : i64, frac = 11 : i64, layer = "norm"} : (!dataflow.stream<tensor<3x4x!fixed.num<s6, 3>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<s16, 2>>, 1>
// CHECK-NEXT:     %y = dataflow.map %n {layer = "cast"} : (!dataflow.stream<tensor<3x4x!fixed.num<s16, 2>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<s5, 2>>, 1> {
// CHECK-NEXT:     ^bb0(%0: !fixed.num<s16, 2>):
// CHECK-NEXT:       %1 = fixed.quantize %0 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<s16, 2>) -> !fixed.num<s5, 2>
// CHECK-NEXT:       fixed.yield %1 : !fixed.num<s5, 2>
// CHECK-NEXT:     }
// CHECK-NEXT:     %2 = dataflow.lanes %y {layer = "output"} : (!dataflow.stream<tensor<3x4x!fixed.num<s5, 2>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<s5, 2>>, 4>
// CHECK-NEXT:     func.return %2 : !dataflow.stream<tensor<3x4x!fixed.num<s5, 2>>, 4>
// CHECK-NEXT:   }
// CHECK-NEXT: }
