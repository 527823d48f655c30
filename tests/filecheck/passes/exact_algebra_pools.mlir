// RUN: calocc-opt %s -p exact-algebra | filecheck %s

// Scales that are not negative keep the order of their operands: the maximum goes in front of them.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%0: tensor<4x4x2x!fixed.num<s8, 4>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<2x2x2x!fixed.num<s8, 4>> {calocc.name = "y"}) {
// CHECK-NEXT:     %1 = qnn.constant <b19f4f812f09adcd5 : tensor<2xi16>> : tensor<2x!fixed.num<u8, 2>>
// CHECK-NEXT:     %2 = qnn.pool %0 {kind = #qnn<pooling max>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, layer = "pool"} : (tensor<4x4x2x!fixed.num<s8, 4>>) -> tensor<2x2x2x!fixed.num<s8, 4>>
// CHECK-NEXT:     %3 = qnn.mul %2, %1 {layer = "scale"} : (tensor<2x2x2x!fixed.num<s8, 4>>, tensor<2x!fixed.num<u8, 2>>) -> tensor<2x2x2x!fixed.num<s16, 6>>
// CHECK-NEXT:     %4 = qnn.quantize %3 {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>, layer = "act"} : (tensor<2x2x2x!fixed.num<s16, 6>>) -> tensor<2x2x2x!fixed.num<s8, 4>>
// CHECK-NEXT:     func.return %4 : tensor<2x2x2x!fixed.num<s8, 4>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%0: tensor<4x4x2x!fixed.num<s8, 4>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<2x2x2x!fixed.num<s8, 4>> {calocc.name = "y"}) {
    %1 = qnn.constant <b19f4f812f09adcd5 : tensor<2xi16>> : tensor<2x!fixed.num<u8, 2>>
    %2 = qnn.mul %0, %1 {layer = "scale"} : (tensor<4x4x2x!fixed.num<s8, 4>>, tensor<2x!fixed.num<u8, 2>>) -> tensor<4x4x2x!fixed.num<s16, 6>>
    %3 = qnn.quantize %2 {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>, layer = "act"} : (tensor<4x4x2x!fixed.num<s16, 6>>) -> tensor<4x4x2x!fixed.num<s8, 4>>
    %4 = qnn.pool %3 {kind = #qnn<pooling max>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, layer = "pool"} : (tensor<4x4x2x!fixed.num<s8, 4>>) -> tensor<2x2x2x!fixed.num<s8, 4>>
    func.return %4 : tensor<2x2x2x!fixed.num<s8, 4>>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b19f4f812f09adcd5: "0x79008300"
    }
  }
#-}
