// RUN: calocc-opt %s -p thresholds | filecheck %s

// A product, a rectifier and a cast to four levels: three comparisons with what 11/16 x reaches. A
// value that another layer reads has to be computed.

func.func @main(%x: tensor<2x!fixed.num<s8, 4>> {calocc.name = "x"}) -> (tensor<2x!fixed.num<u2, 1>> {calocc.name = "y"}, tensor<2x!fixed.num<s12, 4>> {calocc.name = "z"}, tensor<2x!fixed.num<u2, 1>> {calocc.name = "w"}) {
  %c = qnn.constant <be7cf46a078fed4fa : tensor<1xi8>> : tensor<1x!fixed.num<u4, 0>>
  %0 = qnn.mul %x, %c {layer = "scale"} : (tensor<2x!fixed.num<s8, 4>>, tensor<1x!fixed.num<u4, 0>>) -> tensor<2x!fixed.num<s12, 4>>
  %1 = qnn.relu %0 {layer = "relu"} : (tensor<2x!fixed.num<s12, 4>>) -> tensor<2x!fixed.num<u11, 3>>
  %y = qnn.quantize %1 {layer = "act", rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (tensor<2x!fixed.num<u11, 3>>) -> tensor<2x!fixed.num<u2, 1>>
  %z = qnn.mul %x, %c {layer = "shared"} : (tensor<2x!fixed.num<s8, 4>>, tensor<1x!fixed.num<u4, 0>>) -> tensor<2x!fixed.num<s12, 4>>
  %w = qnn.quantize %z {layer = "act_2", rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (tensor<2x!fixed.num<s12, 4>>) -> tensor<2x!fixed.num<u2, 1>>
  func.return %y, %z, %w : tensor<2x!fixed.num<u2, 1>>, tensor<2x!fixed.num<s12, 4>>, tensor<2x!fixed.num<u2, 1>>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2x!fixed.num<s8, 4>> {calocc.name = "x"}) -> (tensor<2x!fixed.num<u2, 1>> {calocc.name = "y"}, tensor<2x!fixed.num<s12, 4>> {calocc.name = "z"}, tensor<2x!fixed.num<u2, 1>> {calocc.name = "w"}) {
// CHECK-NEXT:     %c = qnn.constant <be7cf46a078fed4fa : tensor<1xi8>> : tensor<1x!fixed.num<u4, 0>>
// CHECK-NEXT:     %y = qnn.threshold %x {thresholds = #fixed.blob<b8ef0d7b7ff0cbf26 : tensor<1x3xi8>>, base = 0 : i64, layer = "act"} : (tensor<2x!fixed.num<s8, 4>>) -> tensor<2x!fixed.num<u2, 1>>
// CHECK-NEXT:     %z = qnn.mul %x, %c {layer = "shared"} : (tensor<2x!fixed.num<s8, 4>>, tensor<1x!fixed.num<u4, 0>>) -> tensor<2x!fixed.num<s12, 4>>
// CHECK-NEXT:     %w = qnn.quantize %z {layer = "act_2", rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (tensor<2x!fixed.num<s12, 4>>) -> tensor<2x!fixed.num<u2, 1>>
// CHECK-NEXT:     func.return %y, %z, %w : tensor<2x!fixed.num<u2, 1>>, tensor<2x!fixed.num<s12, 4>>, tensor<2x!fixed.num<u2, 1>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      be7cf46a078fed4fa: "0x0b"
    }
  }
#-}
