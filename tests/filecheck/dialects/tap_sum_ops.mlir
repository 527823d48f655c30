// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Sums of taps in their pretty form: on reals, on fixed-point numbers, as a process.

func.func @reals(%x: tensor<2x3x6xf32>) -> tensor<2x6x2xf32> {
  %y = qnn.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64, layer = "conv"} : (tensor<2x3x6xf32>) -> tensor<2x6x2xf32>
  func.return %y : tensor<2x6x2xf32>
}

func.func @fixed(%x: tensor<2x3x6x!fixed.num<s4, 2>>) -> tensor<4x3x3x!fixed.num<s5, 3>> {
  %y = qnn.tap_sum %x {axis = 0 : i64, taps = 2 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = 0 : i64} : (tensor<2x3x6x!fixed.num<s4, 2>>) -> tensor<4x3x3x!fixed.num<s5, 3>>
  func.return %y : tensor<4x3x3x!fixed.num<s5, 3>>
}

func.func @process(%x: !dataflow.stream<tensor<2x3x6x!fixed.num<s4, 2>>, 3>) -> !dataflow.stream<tensor<2x6x2x!fixed.num<s4, 3>>, 1> {
  %y = dataflow.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64} : (!dataflow.stream<tensor<2x3x6x!fixed.num<s4, 2>>, 3>) -> !dataflow.stream<tensor<2x6x2x!fixed.num<s4, 3>>, 1> {
  ^bb0(%s: !fixed.num<s6, 4>):
    %r = fixed.quantize %s {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<s6, 4>) -> !fixed.num<s4, 3>
    fixed.yield %r : !fixed.num<s4, 3>
  }
  func.return %y : !dataflow.stream<tensor<2x6x2x!fixed.num<s4, 3>>, 1>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @reals(%x: tensor<2x3x6xf32>) -> tensor<2x6x2xf32> {
// CHECK-NEXT:     %y = qnn.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64, layer = "conv"} : (tensor<2x3x6xf32>) -> tensor<2x6x2xf32>
// CHECK-NEXT:     func.return %y : tensor<2x6x2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @fixed(%x: tensor<2x3x6x!fixed.num<s4, 2>>) -> tensor<4x3x3x!fixed.num<s5, 3>> {
// CHECK-NEXT:     %y = qnn.tap_sum %x {axis = 0 : i64, taps = 2 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = 0 : i64} : (tensor<2x3x6x!fixed.num<s4, 2>>) -> tensor<4x3x3x!fixed.num<s5, 3>>
// CHECK-NEXT:     func.return %y : tensor<4x3x3x!fixed.num<s5, 3>>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @process(%x: !dataflow.stream<tensor<2x3x6x!fixed.num<s4, 2>>, 3>) -> !dataflow.stream<tensor<2x6x2x!fixed.num<s4, 3>>, 1> {
// CHECK-NEXT:     %y = dataflow.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64} : (!dataflow.stream<tensor<2x3x6x!fixed.num<s4, 2>>, 3>) -> !dataflow.stream<tensor<2x6x2x!fixed.num<s4, 3>>, 1> {
// CHECK-NEXT:     ^bb0(%s: !fixed.num<s6, 4>):
// CHECK-NEXT:       %r = fixed.quantize %s {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<s6, 4>) -> !fixed.num<s4, 3>
// CHECK-NEXT:       fixed.yield %r : !fixed.num<s4, 3>
// CHECK-NEXT:     }
// CHECK-NEXT:     func.return %y : !dataflow.stream<tensor<2x6x2x!fixed.num<s4, 3>>, 1>
// CHECK-NEXT:   }
// CHECK-NEXT: }
