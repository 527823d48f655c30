// RUN: calocc-opt %s -p 'override-rounding{rounding=trn overflow=wrap}' | filecheck %s

// Weights keep their values; an unsigned format that no longer saturates at 0 gets a rectifier; a
// quantizer that is no plain cast stays as it is.

func.func @main(%x: tensor<2xf32> {calocc.name = "x"}) -> (tensor<1xf32> {calocc.name = "y"}) {
  %0 = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_bits(6,1,alpha=1.0)">} : (tensor<2xf32>) -> tensor<2xf32>
  %w = qnn.constant <b031a5e93e726630d : tensor<2x1xf32>> : tensor<2x1xf32>
  %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha=1.0)">} : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %1 = qnn.dense %0, %q : (tensor<2xf32>, tensor<2x1xf32>) -> tensor<1xf32>
  %2 = qnn.quantize %1 {quantizer = #qnn.quantizer<"quantized_relu(4,2)">} : (tensor<1xf32>) -> tensor<1xf32>
  %3 = qnn.quantize %2 {quantizer = #qnn.quantizer<"quantized_po2(4)">} : (tensor<1xf32>) -> tensor<1xf32>
  func.return %3 : tensor<1xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2xf32> {calocc.name = "x"}) -> (tensor<1xf32> {calocc.name = "y"}) {
// CHECK-NEXT:     %0 = qnn.quantize %x {quantizer = #qnn.quantizer<"fixed_point(6,2)">} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:     %w = qnn.constant <b031a5e93e726630d : tensor<2x1xf32>> : tensor<2x1xf32>
// CHECK-NEXT:     %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha=1.0)">} : (tensor<2x1xf32>) -> tensor<2x1xf32>
// CHECK-NEXT:     %1 = qnn.dense %0, %q : (tensor<2xf32>, tensor<2x1xf32>) -> tensor<1xf32>
// CHECK-NEXT:     %2 = qnn.relu %1 {layer = "qnn.quantize"} : (tensor<1xf32>) -> tensor<1xf32>
// CHECK-NEXT:     %3 = qnn.quantize %2 {quantizer = #qnn.quantizer<"fixed_point(4,2,signed=False)">} : (tensor<1xf32>) -> tensor<1xf32>
// CHECK-NEXT:     %4 = qnn.quantize %3 {quantizer = #qnn.quantizer<"quantized_po2(4)">} : (tensor<1xf32>) -> tensor<1xf32>
// CHECK-NEXT:     func.return %4 : tensor<1xf32>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b031a5e93e726630d: "0x0000003f000080bf"
    }
  }
#-}
