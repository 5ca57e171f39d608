#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/** The lengths of the codes and what they stand for, as a file has them (ITU-T T.81, B.2.4.2). */
struct CodeTable {
  /** How many codes have 1 to 16 bits. */
  std::uint8_t counts[16];
  std::vector<std::uint8_t> symbols;
};

/** What the header of a plain JPEG says: baseline, all components in one scan, in YCbCr or grey. */
struct Frame {
  struct Component {
    /** Steps of the coefficients, in the order of the zigzag. */
    std::uint16_t steps[64];
    /** Of `dc` and `ac`. */
    int dcTable, acTable;
  };

  static constexpr int TABLES = 4;

  int width = 0, height = 0;
  /** 3 or 1. */
  int channels = 0;
  Component components[3];
  /** Pixels that share one sample of colour: 1 or 2 in either direction. */
  int across = 1, down = 1;
  CodeTable dc[TABLES], ac[TABLES];
  /** Blocks, or groups of them, from one restart to the next; 0: none. */
  int restartInterval = 0;
  /** Where the scan's codes begin. */
  std::size_t scan = 0;
  bool hasExif = false;
};

/** @returns false for every other file, and for every one of which libjpeg would say a word of warning */
bool readFrame(const std::uint8_t *bytes, std::size_t length, Frame *frame);
