// RUN: calocc-opt %s -p hoist-quantize | filecheck %s

// A quantizer that keeps 0 moves into the table whose rows it quantizes.

func.func @kept(%x: tensor<4xf32>, %w: tensor<3x2xf32>) -> tensor<4x2xf32> {
  %e = qnn.embedding %x, %w {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %q = qnn.quantize %e {quantizer = #qnn.quantizer<"quantized_relu(4,1)">, layer = "cast"} : (tensor<4x2xf32>) -> tensor<4x2xf32>
  func.return %q : tensor<4x2xf32>
}

// binary(0) is 1, and rows that are not there are zeros.
func.func @binary(%x: tensor<4xf32>, %w: tensor<3x2xf32>) -> tensor<4x2xf32> {
  %e = qnn.embedding %x, %w {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %q = qnn.quantize %e {quantizer = #qnn.quantizer<"binary(alpha=1.0)">, layer = "cast"} : (tensor<4x2xf32>) -> tensor<4x2xf32>
  func.return %q : tensor<4x2xf32>
}

// Another user needs the rows before the quantizer.
func.func @shared(%x: tensor<4xf32>, %w: tensor<3x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>) {
  %e = qnn.embedding %x, %w {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  %q = qnn.quantize %e {quantizer = #qnn.quantizer<"quantized_relu(4,1)">, layer = "cast"} : (tensor<4x2xf32>) -> tensor<4x2xf32>
  func.return %e, %q : tensor<4x2xf32>, tensor<4x2xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @kept(%x: tensor<4xf32>, %w: tensor<3x2xf32>) -> tensor<4x2xf32> {
// CHECK-NEXT:     %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_relu(4,1)">, layer = "cast"} : (tensor<3x2xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:     %q_1 = qnn.embedding %x, %q {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
// CHECK-NEXT:     func.return %q_1 : tensor<4x2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @binary(%x: tensor<4xf32>, %w: tensor<3x2xf32>) -> tensor<4x2xf32> {
// CHECK-NEXT:     %e = qnn.embedding %x, %w {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
// CHECK-NEXT:     %q = qnn.quantize %e {quantizer = #qnn.quantizer<"binary(alpha=1.0)">, layer = "cast"} : (tensor<4x2xf32>) -> tensor<4x2xf32>
// CHECK-NEXT:     func.return %q : tensor<4x2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @shared(%x: tensor<4xf32>, %w: tensor<3x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>) {
// CHECK-NEXT:     %e = qnn.embedding %x, %w {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
// CHECK-NEXT:     %q = qnn.quantize %e {quantizer = #qnn.quantizer<"quantized_relu(4,1)">, layer = "cast"} : (tensor<4x2xf32>) -> tensor<4x2xf32>
// CHECK-NEXT:     func.return %e, %q : tensor<4x2xf32>, tensor<4x2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT: }
