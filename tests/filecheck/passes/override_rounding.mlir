// RUN: calocc-opt %s -p 'override-rounding{rounding=trn overflow=wrap}' | filecheck %s

// Weights keep their values; an unsigned format that no longer saturates at 0 gets a rectifier, or if it
// is that of an input still saturates, as the host casts it; a quantizer that is no plain cast stays.

func.func @main(%x: tensor<2xf32> {calocc.name = "x"}, %u: tensor<2xf32> {calocc.name = "u"}) -> (tensor<1xf32> {calocc.name = "y"}, tensor<2xf32> {calocc.name = "v"}) {
  %0 = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_bits(6,1,alpha=1.0)">} : (tensor<2xf32>) -> tensor<2xf32>
  %w = qnn.constant <b031a5e93e726630d : tensor<2x1xf32>> : tensor<2x1xf32>
  %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha=1.0)">} : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %1 = qnn.dense %0, %q : (tensor<2xf32>, tensor<2x1xf32>) -> tensor<1xf32>
  %2 = qnn.quantize %1 {quantizer = #qnn.quantizer<"quantized_relu(4,2)">} : (tensor<1xf32>) -> tensor<1xf32>
  %3 = qnn.quantize %2 {quantizer = #qnn.quantizer<"quantized_po2(4)">} : (tensor<1xf32>) -> tensor<1xf32>
  %v = qnn.quantize %u {quantizer = #qnn.quantizer<"quantized_bits(4,2,keep_negative=0,alpha=1.0)">} : (tensor<2xf32>) -> tensor<2xf32>
  func.return %3, %v : tensor<1xf32>, tensor<2xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2xf32> {calocc.name = "x"}, %u: tensor<2xf32> {calocc.name = "u"}) -> (tensor<1xf32> {calocc.name = "y"}, tensor<2xf32> {calocc.name = "v"}) {
// CHECK-NEXT:     %0 = qnn.quantize %x {quantizer = #qnn.quantizer<"fixed_point(6,2)">} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:     %w = qnn.constant <b031a5e93e726630d : tensor<2x1xf32>> : tensor<2x1xf32>
// CHECK-NEXT:     %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha=1.0)">} : (tensor<2x1xf32>) -> tensor<2x1xf32>
// CHECK-NEXT:     %1 = qnn.dense %0, %q : (tensor<2xf32>, tensor<2x1xf32>) -> tensor<1xf32>
// CHECK-NEXT:     %2 = qnn.relu %1 {layer = "qnn.quantize"} : (tensor<1xf32>) -> tensor<1xf32>
// CHECK-NEXT:     %3 = qnn.quantize %2 {quantizer = #qnn.quantizer<"fixed_point(4,2,signed=False)">} : (tensor<1xf32>) -> tensor<1xf32>
// CHECK-NEXT:     %4 = qnn.quantize %3 {quantizer = #qnn.quantizer<"quantized_po2(4)">} : (tensor<1xf32>) -> tensor<1xf32>
// CHECK-NEXT:     %v = qnn.quantize %u {quantizer = #qnn.quantizer<"fixed_point(4,2,signed=False,overflow='sat')">} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:     func.return %4, %v : tensor<1xf32>, tensor<2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b031a5e93e726630d: "0x0000003f000080bf"
    }
  }
#-}
