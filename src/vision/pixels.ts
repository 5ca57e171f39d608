/** Raw pixels as the models take them. */
export interface Pixels {
  /** RGB, 8 bits a channel, row by row: `height * width * 3` bytes. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}
