// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Interpolation in its pretty form: on reals, on fixed-point numbers, as a process.

func.func @reals(%x: tensor<3x2x4xf32>) -> tensor<6x6x4xf32> {
  %y = qnn.interpolate %x {factors = array<i64: 2, 3>, layer = "up"} : (tensor<3x2x4xf32>) -> tensor<6x6x4xf32>
  func.return %y : tensor<6x6x4xf32>
}

func.func @fixed(%x: tensor<3x2x4x!fixed.num<s4, 2>>) -> tensor<6x6x4x!fixed.num<s8, 6>> {
  %y = qnn.interpolate %x {factors = array<i64: 2, 3>} : (tensor<3x2x4x!fixed.num<s4, 2>>) -> tensor<6x6x4x!fixed.num<s8, 6>>
  func.return %y : tensor<6x6x4x!fixed.num<s8, 6>>
}

func.func @process(%x: !dataflow.stream<tensor<3x2x4x!fixed.num<s4, 2>>, 2>) -> !dataflow.stream<tensor<6x6x4x!fixed.num<s4, 6>>, 2> {
  %y = dataflow.interpolate %x {factors = array<i64: 2, 3>} : (!dataflow.stream<tensor<3x2x4x!fixed.num<s4, 2>>, 2>) -> !dataflow.stream<tensor<6x6x4x!fixed.num<s4, 6>>, 2> {
  ^bb0(%s: !fixed.num<s8, 6>):
    %r = fixed.quantize %s {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<s8, 6>) -> !fixed.num<s4, 6>
    fixed.yield %r : !fixed.num<s4, 6>
  }
  func.return %y : !dataflow.stream<tensor<6x6x4x!fixed.num<s4, 6>>, 2>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @reals(%x: tensor<3x2x4xf32>) -> tensor<6x6x4xf32> {
// CHECK-NEXT:     %y = qnn.interpolate %x {factors = array<i64: 2, 3>, layer = "up"} : (tensor<3x2x4xf32>) -> tensor<6x6x4xf32>
// CHECK-NEXT:     func.return %y : tensor<6x6x4xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @fixed(%x: tensor<3x2x4x!fixed.num<s4, 2>>) -> tensor<6x6x4x!fixed.num<s8, 6>> {
// CHECK-NEXT:     %y = qnn.interpolate %x {factors = array<i64: 2, 3>} : (tensor<3x2x4x!fixed.num<s4, 2>>) -> tensor<6x6x4x!fixed.num<s8, 6>>
// CHECK-NEXT:     func.return %y : tensor<6x6x4x!fixed.num<s8, 6>>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @process(%x: !dataflow.stream<tensor<3x2x4x!fixed.num<s4, 2>>, 2>) -> !dataflow.stream<tensor<6x6x4x!fixed.num<s4, 6>>, 2> {
// CHECK-NEXT:     %y = dataflow.interpolate %x {factors = array<i64: 2, 3>} : (!dataflow.stream<tensor<3x2x4x!fixed.num<s4, 2>>, 2>) -> !dataflow.stream<tensor<6x6x4x!fixed.num<s4, 6>>, 2> {
// CHECK-NEXT:     ^bb0(%s: !fixed.num<s8, 6>):
// CHECK-NEXT:       %r = fixed.quantize %s {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>} : (!fixed.num<s8, 6>) -> !fixed.num<s4, 6>
// CHECK-NEXT:       fixed.yield %r : !fixed.num<s4, 6>
// CHECK-NEXT:     }
// CHECK-NEXT:     func.return %y : !dataflow.stream<tensor<6x6x4x!fixed.num<s4, 6>>, 2>
// CHECK-NEXT:   }
// CHECK-NEXT: }
