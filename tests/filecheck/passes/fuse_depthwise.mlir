// RUN: calocc-opt %s -p fuse | filecheck %s

// All 80 results of a channel leave in one beat: with 51 bits each it is just narrow enough, with 52
// bits the map stays a process of its own.

// CHECK:       func.func @narrow
// CHECK:         dataflow.depthwise
// CHECK-NOT:     dataflow.map
// CHECK:       func.func @wide
// CHECK:         dataflow.depthwise
// CHECK:         dataflow.map

func.func @narrow(%x: !dataflow.stream<tensor<3x1x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<3x80x!fixed.num<s51, 47>>, 80> {
  %s = dataflow.depthwise %x {weights = #fixed.blob<bbddd5e90db1e27b3 : tensor<1x1x80xi8>>, weight_type = !fixed.num<s4, 2>} : (!dataflow.stream<tensor<3x1x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<3x80x!fixed.num<s8, 4>>, 80> {
  ^bb0(%a: !fixed.num<s8, 4>):
    fixed.yield %a : !fixed.num<s8, 4>
  }
  %m = dataflow.map %s : (!dataflow.stream<tensor<3x80x!fixed.num<s8, 4>>, 80>) -> !dataflow.stream<tensor<3x80x!fixed.num<s51, 47>>, 80> {
  ^bb0(%a: !fixed.num<s8, 4>):
    %r = fixed.quantize %a {rounding = #fixed<rounding trn>, overflow = #fixed<overflow wrap>} : (!fixed.num<s8, 4>) -> !fixed.num<s51, 47>
    fixed.yield %r : !fixed.num<s51, 47>
  }
  func.return %m : !dataflow.stream<tensor<3x80x!fixed.num<s51, 47>>, 80>
}

func.func @wide(%x: !dataflow.stream<tensor<3x1x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<3x80x!fixed.num<s52, 48>>, 80> {
  %s = dataflow.depthwise %x {weights = #fixed.blob<bbddd5e90db1e27b3 : tensor<1x1x80xi8>>, weight_type = !fixed.num<s4, 2>} : (!dataflow.stream<tensor<3x1x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<3x80x!fixed.num<s8, 4>>, 80> {
  ^bb0(%a: !fixed.num<s8, 4>):
    fixed.yield %a : !fixed.num<s8, 4>
  }
  %m = dataflow.map %s : (!dataflow.stream<tensor<3x80x!fixed.num<s8, 4>>, 80>) -> !dataflow.stream<tensor<3x80x!fixed.num<s52, 48>>, 80> {
  ^bb0(%a: !fixed.num<s8, 4>):
    %r = fixed.quantize %a {rounding = #fixed<rounding trn>, overflow = #fixed<overflow wrap>} : (!fixed.num<s8, 4>) -> !fixed.num<s52, 48>
    fixed.yield %r : !fixed.num<s52, 48>
  }
  func.return %m : !dataflow.stream<tensor<3x80x!fixed.num<s52, 48>>, 80>
}

{-#
  dialect_resources: {
    fixed: {
      bbddd5e90db1e27b3: "0xf9fafbfcfdfeff0001020304050607f9fafbfcfdfeff0001020304050607f9fafbfcfdfeff0001020304050607f9fafbfcfdfeff0001020304050607f9fafbfcfdfeff0001020304050607f9fafbfcfd"
    }
  }
#-}
