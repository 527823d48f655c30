// RUN: calocc-opt %s -p hoist-quantize | filecheck %s

// A quantizer that keeps 0 moves in front of padding, and a monotone one in front of a maximum.
func.func @main(%x: tensor<2x2x1xf32>) -> tensor<1x2x1xf32> {
  %p = qnn.pad %x {padding = array<i64: 0, 0, 1, 1>} : (tensor<2x2x1xf32>) -> tensor<2x4x1xf32>
  %m = qnn.pool %p {kind = #qnn<pooling max>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x4x1xf32>) -> tensor<1x2x1xf32>
  %q = qnn.quantize %m {quantizer = #qnn.quantizer<"quantized_relu(4,1)">} : (tensor<1x2x1xf32>) -> tensor<1x2x1xf32>
  func.return %q : tensor<1x2x1xf32>
}

// binary(0) is 1: padding brings in zeros that must stay quantized to 1.
func.func @binary(%x: tensor<2x2x1xf32>) -> tensor<2x4x1xf32> {
  %p = qnn.pad %x {padding = array<i64: 0, 0, 1, 1>} : (tensor<2x2x1xf32>) -> tensor<2x4x1xf32>
  %q = qnn.quantize %p {quantizer = #qnn.quantizer<"binary(alpha=1.0)">} : (tensor<2x4x1xf32>) -> tensor<2x4x1xf32>
  func.return %q : tensor<2x4x1xf32>
}

// A sum of rounded numbers is not the rounded sum.
func.func @sum(%x: tensor<2x2x1xf32>) -> tensor<1x1x1xf32> {
  %s = qnn.pool %x {kind = #qnn<pooling sum>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x2x1xf32>) -> tensor<1x1x1xf32>
  %q = qnn.quantize %s {quantizer = #qnn.quantizer<"quantized_relu(4,1)">} : (tensor<1x1x1xf32>) -> tensor<1x1x1xf32>
  func.return %q : tensor<1x1x1xf32>
}

// 1.75 wraps to -0.25: the largest number need not have the largest cast.
func.func @wraps(%x: tensor<2x2x1xf32>) -> tensor<1x1x1xf32> {
  %m = qnn.pool %x {kind = #qnn<pooling max>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x2x1xf32>) -> tensor<1x1x1xf32>
  %q = qnn.quantize %m {quantizer = #qnn.quantizer<"fixed_point(4,1)">} : (tensor<1x1x1xf32>) -> tensor<1x1x1xf32>
  func.return %q : tensor<1x1x1xf32>
}

// Another user needs the values before the quantizer.
func.func @shared(%x: tensor<2x2x1xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %f = qnn.reshape %x : (tensor<2x2x1xf32>) -> tensor<4xf32>
  %q = qnn.quantize %f {quantizer = #qnn.quantizer<"quantized_relu(4,1)">} : (tensor<4xf32>) -> tensor<4xf32>
  func.return %f, %q : tensor<4xf32>, tensor<4xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2x2x1xf32>) -> tensor<1x2x1xf32> {
// CHECK-NEXT:     %p = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_relu(4,1)">, layer = "qnn.quantize"} : (tensor<2x2x1xf32>) -> tensor<2x2x1xf32>
// CHECK-NEXT:     %p_1 = qnn.pad %p {padding = array<i64: 0, 0, 1, 1>} : (tensor<2x2x1xf32>) -> tensor<2x4x1xf32>
// CHECK-NEXT:     %m = qnn.pool %p_1 {kind = #qnn<pooling max>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x4x1xf32>) -> tensor<1x2x1xf32>
// CHECK-NEXT:     func.return %m : tensor<1x2x1xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @binary(%x: tensor<2x2x1xf32>) -> tensor<2x4x1xf32> {
// CHECK-NEXT:     %p = qnn.pad %x {padding = array<i64: 0, 0, 1, 1>} : (tensor<2x2x1xf32>) -> tensor<2x4x1xf32>
// CHECK-NEXT:     %q = qnn.quantize %p {quantizer = #qnn.quantizer<"binary(alpha=1.0)">} : (tensor<2x4x1xf32>) -> tensor<2x4x1xf32>
// CHECK-NEXT:     func.return %q : tensor<2x4x1xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @sum(%x: tensor<2x2x1xf32>) -> tensor<1x1x1xf32> {
// CHECK-NEXT:     %s = qnn.pool %x {kind = #qnn<pooling sum>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x2x1xf32>) -> tensor<1x1x1xf32>
// CHECK-NEXT:     %q = qnn.quantize %s {quantizer = #qnn.quantizer<"quantized_relu(4,1)">} : (tensor<1x1x1xf32>) -> tensor<1x1x1xf32>
// CHECK-NEXT:     func.return %q : tensor<1x1x1xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @wraps(%x: tensor<2x2x1xf32>) -> tensor<1x1x1xf32> {
// CHECK-NEXT:     %m = qnn.pool %x {kind = #qnn<pooling max>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x2x1xf32>) -> tensor<1x1x1xf32>
// CHECK-NEXT:     %q = qnn.quantize %m {quantizer = #qnn.quantizer<"fixed_point(4,1)">} : (tensor<1x1x1xf32>) -> tensor<1x1x1xf32>
// CHECK-NEXT:     func.return %q : tensor<1x1x1xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @shared(%x: tensor<2x2x1xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
// CHECK-NEXT:     %f = qnn.reshape %x : (tensor<2x2x1xf32>) -> tensor<4xf32>
// CHECK-NEXT:     %q = qnn.quantize %f {quantizer = #qnn.quantizer<"quantized_relu(4,1)">} : (tensor<4xf32>) -> tensor<4xf32>
// CHECK-NEXT:     func.return %f, %q : tensor<4xf32>, tensor<4xf32>
// CHECK-NEXT:   }
// CHECK-NEXT: }
