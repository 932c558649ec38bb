import { describe, expect, it } from 'vitest';
import { parseTemplate, TemplateUnreadable } from './template.ts';

const reasonOf = (source: string): string => {
  try {
    parseTemplate(source);
    return 'none';
  } catch (error) {
    return error instanceof TemplateUnreadable ? error.reason : String(error);
  }
};

describe('a config.yaml', () => {
  it('says what the platform wants to know', () =>
    expect(
      parseTemplate(`
name: Research team
tier: 2
runtime: hermes
model: legacy
runtime_config: { model: nested, provision_timeout_seconds: 900, timeout: 0 }
sub_workspaces:
  - { config: writer, name: Writer, role: writes }
  - config: reader
  - just a text
  - [a, list]
unknown: [1, 2]
`),
    ).toEqual({
      name: 'Research team',
      tier: 2,
      runtime: 'hermes',
      model: 'legacy',
      provisionTimeoutSeconds: 900,
      subWorkspaces: [
        { config: 'writer', name: 'Writer', role: 'writes' },
        { config: 'reader', name: 'reader', role: '' },
      ],
    }));

  it('may have its model with the runtime', () =>
    expect(parseTemplate('runtime_config: { model: "nested" }').model).toBe('nested'));

  it.each(['name: 7', 'runtime: [x]', 'runtime_config: text', 'sub_workspaces: {}', 'tier: 1.5', 'name: ~'])(
    'says nothing with %j',
    (source) =>
      expect(parseTemplate(source)).toEqual({
        name: '',
        tier: 0,
        runtime: '',
        model: '',
        provisionTimeoutSeconds: null,
        subWorkspaces: [],
      }),
  );

  it.each(['0', '-1', '1.5', '"60"', 'true'])('has no timeout of %s seconds', (seconds) =>
    expect(parseTemplate(`runtime_config: { provision_timeout_seconds: ${seconds} }`).provisionTimeoutSeconds).toBeNull(),
  );

  it.each([
    ['nothing', ''],
    ['a list', '- a'],
    ['a text', 'hello'],
    ['what is not YAML', 'a: [b'],
    ['a key twice', 'name: a\nname: b'],
    ['nested without end', '['.repeat(50_000)],
  ])('is none when it is %s', (_what, source) => expect(reasonOf(source)).toBe('unparsed'));

  it('is none when its anchors multiply', () => {
    const levels = Array.from(
      { length: 9 },
      (_, level) =>
        `${'abcdefghij'[level + 1]}: &${'abcdefghij'[level + 1]} [${Array(9).fill(`*${'abcdefghij'[level]}`).join(',')}]`,
    );
    expect(reasonOf(['a: &a [x,x,x,x,x,x,x,x,x]', ...levels].join('\n'))).toBe('unparsed');
    expect(reasonOf('name: &n Ada\nrole: *n')).toBe('none');
  });
});
