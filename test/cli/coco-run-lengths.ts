/**
 * Decodes COCO's compressed run lengths as its own maskApi.c does: five bits a character from 48 on, the sixth bit
 * says that more follow, each count from the third on is a difference to the one before the last; columns first.
 */
export function decodeRunLengths({ size, counts }: { size: number[]; counts: string }): {
  area: number;
  bbox: number[];
} {
  const [height, width] = size as [number, number];
  const runs: number[] = [];
  for (let at = 0; at < counts.length;) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      const bits = counts.charCodeAt(at++) - 48;
      value |= (bits & 31) << shift;
      more = (bits & 32) !== 0;
      shift += 5;
      if (!more && (bits & 16) !== 0) value |= -1 << shift;
    }
    runs.push(runs.length > 2 ? value + runs[runs.length - 2]! : value);
  }
  let area = 0;
  let [left, top, right, bottom] = [width, height, -1, -1];
  let pixel = 0;
  runs.forEach((run, index) => {
    for (const end = pixel + run; pixel < end; pixel++) {
      if (index % 2 === 0) continue;
      const x = Math.floor(pixel / height);
      const y = pixel % height;
      area += 1;
      [left, top, right, bottom] = [
        Math.min(left, x),
        Math.min(top, y),
        Math.max(right, x),
        Math.max(bottom, y),
      ];
    }
  });
  if (pixel !== width * height) throw new Error(`the runs cover ${pixel} of ${width * height} pixels`);
  return { area, bbox: area === 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1] };
}
