/** What travels over the bus stays small (D10). */

/** As many of these, from the first, as take no more than so many bytes as JSON; at least one, if there are any. */
export function fitting<Item>(items: readonly Item[], maxBytes: number): Item[] {
  let bytes = 0;
  const over = items.findIndex((item, index) => {
    bytes += Buffer.byteLength(JSON.stringify(item));
    return index > 0 && bytes > maxBytes;
  });
  return over === -1 ? [...items] : items.slice(0, over);
}
