// RUN: calocc-opt %s -p factor-scales,dce | filecheck %s

// The scale of quantized_bits(3,alpha='auto') maps the largest weight of a column to 3: the columns
// (3, -1) and (0.75, 0.5) become levels (3, -1) and (3, 2) with scales 1 and 0.25.

func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %w = qnn.constant <be2e29bb3a0c93275 : tensor<2x2xf32>> : tensor<2x2xf32>
  %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha='auto')">} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = qnn.dense %x, %q {layer = "dense"} : (tensor<2xf32>, tensor<2x2xf32>) -> tensor<2xf32>
  func.return %y : tensor<2xf32>
}

// A power of two that is fixed needs no such thing.
func.func @fixed(%x: tensor<2xf32>) -> tensor<2xf32> {
  %w = qnn.constant <be2e29bb3a0c93275 : tensor<2x2xf32>> : tensor<2x2xf32>
  %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha=0.5)">} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = qnn.dense %x, %q {layer = "dense"} : (tensor<2xf32>, tensor<2x2xf32>) -> tensor<2xf32>
  func.return %y : tensor<2xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
// CHECK-NEXT:     %y = qnn.constant <b6f6d1ae56f487504 : tensor<2x2xf64>> {layer = "dense"} : tensor<2x2xf32>
// CHECK-NEXT:     %y_1 = qnn.constant <b82d5182c90ecefa0 : tensor<2xf64>> {layer = "dense"} : tensor<2xf32>
// CHECK-NEXT:     %y_2 = qnn.constant <b374708fff7719dd5 : tensor<2xf64>> {layer = "dense"} : tensor<2xf32>
// CHECK-NEXT:     %y_3 = qnn.dense %x, %y {layer = "dense"} : (tensor<2xf32>, tensor<2x2xf32>) -> tensor<2xf32>
// CHECK-NEXT:     %y_4 = qnn.affine %y_3, %y_1, %y_2 {layer = "dense"} : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:     func.return %y_4 : tensor<2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @fixed(%x: tensor<2xf32>) -> tensor<2xf32> {
// CHECK-NEXT:     %w = qnn.constant <be2e29bb3a0c93275 : tensor<2x2xf32>> : tensor<2x2xf32>
// CHECK-NEXT:     %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha=0.5)">} : (tensor<2x2xf32>) -> tensor<2x2xf32>
// CHECK-NEXT:     %y = qnn.dense %x, %q {layer = "dense"} : (tensor<2xf32>, tensor<2x2xf32>) -> tensor<2xf32>
// CHECK-NEXT:     func.return %y : tensor<2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      be2e29bb3a0c93275: "0x000040400000403f000080bf0000003f"
    }
  }
#-}
