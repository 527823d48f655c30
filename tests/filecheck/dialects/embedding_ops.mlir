// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Rows of a table in their pretty form: on reals, on fixed-point numbers, as a process.

func.func @reals(%x: tensor<4xf32>) -> tensor<4x2xf32> {
  %w = qnn.constant <b12c258ce5d21ead5 : tensor<3x2xf32>> : tensor<3x2xf32>
  %y = qnn.embedding %x, %w {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  func.return %y : tensor<4x2xf32>
}

func.func @fixed(%x: tensor<4x!fixed.num<u2, 2>>) -> tensor<4x2x!fixed.num<s4, 2>> {
  %w = qnn.constant <ba21c0a9853733aa0 : tensor<3x2xi8>> : tensor<3x2x!fixed.num<s4, 2>>
  %y = qnn.embedding %x, %w {layer = "words"} : (tensor<4x!fixed.num<u2, 2>>, tensor<3x2x!fixed.num<s4, 2>>) -> tensor<4x2x!fixed.num<s4, 2>>
  func.return %y : tensor<4x2x!fixed.num<s4, 2>>
}

func.func @streams(%x: !dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 2> {
  %y = dataflow.embedding %x {table = #fixed.blob<ba21c0a9853733aa0 : tensor<3x2xi8>>, layer = "words"} : (!dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 2>
  func.return %y : !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 2>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @reals(%x: tensor<4xf32>) -> tensor<4x2xf32> {
// CHECK-NEXT:     %w = qnn.constant <b12c258ce5d21ead5 : tensor<3x2xf32>> : tensor<3x2xf32>
// CHECK-NEXT:     %y = qnn.embedding %x, %w {layer = "words"} : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
// CHECK-NEXT:     func.return %y : tensor<4x2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @fixed(%x: tensor<4x!fixed.num<u2, 2>>) -> tensor<4x2x!fixed.num<s4, 2>> {
// CHECK-NEXT:     %w = qnn.constant <ba21c0a9853733aa0 : tensor<3x2xi8>> : tensor<3x2x!fixed.num<s4, 2>>
// CHECK-NEXT:     %y = qnn.embedding %x, %w {layer = "words"} : (tensor<4x!fixed.num<u2, 2>>, tensor<3x2x!fixed.num<s4, 2>>) -> tensor<4x2x!fixed.num<s4, 2>>
// CHECK-NEXT:     func.return %y : tensor<4x2x!fixed.num<s4, 2>>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @streams(%x: !dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 2> {
// CHECK-NEXT:     %y = dataflow.embedding %x {table = #fixed.blob<ba21c0a9853733aa0 : tensor<3x2xi8>>, layer = "words"} : (!dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 2>
// CHECK-NEXT:     func.return %y : !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 2>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b12c258ce5d21ead5: "0x9a99993e000080bf000000409a99993f0000003fb81e853e",
      ba21c0a9853733aa0: "0x01fc07050201"
    }
  }
#-}
