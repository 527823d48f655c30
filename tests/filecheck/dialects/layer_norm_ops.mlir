// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Layer normalisation in its pretty form: on reals, on fixed-point numbers, as a process.

func.func @reals(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %y = qnn.layer_norm %x {epsilon = 1.000000e-03 : f64, layer = "norm"} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  func.return %y : tensor<3x4xf32>
}

func.func @fixed(%x: tensor<3x4x!fixed.num<s6, 3>>) -> tensor<3x4x!fixed.num<s16, 2>> {
  %y = qnn.layer_norm %x {offset = 67109 : i64, frac = 11 : i64} : (tensor<3x4x!fixed.num<s6, 3>>) -> tensor<3x4x!fixed.num<s16, 2>>
  func.return %y : tensor<3x4x!fixed.num<s16, 2>>
}

func.func @streams(%x: !dataflow.stream<tensor<3x4x!fixed.num<s6, 3>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<s16, 2>>, 1> {
  %y = dataflow.layer_norm %x {offset = 67109 : i64, frac = 11 : i64, layer = "norm"} : (!dataflow.stream<tensor<3x4x!fixed.num<s6, 3>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<s16, 2>>, 1>
  func.return %y : !dataflow.stream<tensor<3x4x!fixed.num<s16, 2>>, 1>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @reals(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
// CHECK-NEXT:     %y = qnn.layer_norm %x {epsilon = 1.000000e-03 : f64, layer = "norm"} : (tensor<3x4xf32>) -> tensor<3x4xf32>
// CHECK-NEXT:     func.return %y : tensor<3x4xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @fixed(%x: tensor<3x4x!fixed.num<s6, 3>>) -> tensor<3x4x!fixed.num<s16, 2>> {
// CHECK-NEXT:     %y = qnn.layer_norm %x {offset = 67109 : i64, frac = 11 : i64} : (tensor<3x4x!fixed.num<s6, 3>>) -> tensor<3x4x!fixed.num<s16, 2>>
// CHECK-NEXT:     func.return %y : tensor<3x4x!fixed.num<s16, 2>>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @streams(%x: !dataflow.stream<tensor<3x4x!fixed.num<s6, 3>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<s16, 2>>, 1> {
// CHECK-NEXT:     %y = dataflow.layer_norm %x {offset = 67109 : i64, frac = 11 : i64, layer = "norm"} : (!dataflow.stream<tensor<3x4x!fixed.num<s6, 3>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<s16, 2>>, 1>
// CHECK-NEXT:     func.return %y : !dataflow.stream<tensor<3x4x!fixed.num<s16, 2>>, 1>
// CHECK-NEXT:   }
// CHECK-NEXT: }
