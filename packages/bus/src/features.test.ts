import { describe, expect, it } from 'vitest';
import { featuresOf, ServerTooOld } from './features.ts';

describe('what a server can do', () => {
  it('is told by its version', () => {
    expect(featuresOf('2.9.10')).toEqual({ compression: false, missing: ['stream compression'] });
    expect(featuresOf('2.10.0')).toEqual({ compression: true, missing: [] });
    expect(featuresOf('2.12.2-RC.1').compression).toBe(true);
    expect(featuresOf('3.0.0').compression).toBe(true);
  });

  it('counts as the oldest that works when it cannot be read', () => expect(featuresOf('dev').compression).toBe(false));

  it('is refused when it is too old', () => expect(() => featuresOf('2.8.4')).toThrow(ServerTooOld));
});
