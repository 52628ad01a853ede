import assert from 'node:assert/strict';
import fc from 'fast-check';
import { findImports, packageOf, resolveImport } from '../../../scripts/architecture/imports.ts';
import { blank } from '../../../scripts/architecture/source-text.ts';

describe('telling code from comments and strings', () => {
  for (const { title, text, wanted } of [
    { title: 'a line comment', text: 'a // b\nc', wanted: 'a     \nc' },
    { title: 'a block comment', text: 'a /* b\nc */ d', wanted: 'a     \n     d' },
    { title: 'a string', text: `a('b\\'c', "d")`, wanted: `a('    ', " ")` },
    { title: 'a comment mark inside a string', text: `a('//b') // c`, wanted: `a('   ')     ` },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a template is what is tested.
    { title: 'a template', text: 'a(`b ${c({ d: `e` })} f`) + g', wanted: 'a(`  ${c({ d: ` ` })}  `) + g' },
    { title: 'a regular expression with a quote', text: `x = /['"/]\\//g; y`, wanted: `x = /       /g; y` },
    { title: 'a division', text: 'a / b / c', wanted: 'a / b / c' },
    { title: 'a string that is never closed', text: `a 'b\nc`, wanted: `a ' \nc` },
    { title: 'a comment that is never closed', text: 'a /* b', wanted: 'a     ' },
  ]) {
    it(`blanks ${title}`, () => assert.equal(blank(text), wanted));
  }

  it('keeps the length and the lines of any text', () => {
    const piece = fc.oneof(fc.string(), fc.constantFrom("'", '"', '`', '${', '}', '/', '//', '/*', '*/', '\n', '\\', '{'));
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join('');
        const code = blank(text);
        assert.equal(code.length, text.length);
        assert.equal(code.split('\n').length, text.split('\n').length);
      }),
    );
  });
});

describe('finding imports', () => {
  for (const { text, wanted } of [
    { text: `import { a } from './a.ts';`, wanted: ['./a.ts'] },
    { text: `import a, { type B } from "./a.ts"`, wanted: ['./a.ts'] },
    { text: `import * as a from './a.ts';`, wanted: ['./a.ts'] },
    { text: `import {\n  a,\n  b,\n} from './a.ts';`, wanted: ['./a.ts'] },
    { text: `import './a.ts';`, wanted: ['./a.ts'] },
    { text: `import type { A } from './a.ts';`, wanted: ['./a.ts (type)'] },
    { text: `export { a } from './a.ts';`, wanted: ['./a.ts'] },
    { text: `export * from './a.ts';`, wanted: ['./a.ts'] },
    { text: `export type { A } from './a.ts';`, wanted: ['./a.ts (type)'] },
    { text: `const { a } = await import('./a.ts');`, wanted: ['./a.ts'] },
    { text: `type A = import('./a.ts').A;`, wanted: ['./a.ts'] },
    { text: `const a = require('./a.js');`, wanted: ['./a.js'] },
    { text: `import a from './a.json' with { type: 'json' };`, wanted: ['./a.json'] },
    { text: `import type from './a.ts';`, wanted: ['./a.ts'] },
    { text: `import { a } from './a.ts';\nimport { b } from './b.ts';`, wanted: ['./a.ts', './b.ts'] },
    { text: `export const a = 'b';\nimport './c.ts';`, wanted: ['./c.ts'] },
    { text: `// import './a.ts';\n/* import './b.ts' */`, wanted: [] },
    { text: `const a = "import './a.ts'";`, wanted: [] },
    { text: `const url = import.meta.url; array.from('x'); export const from = 'x';`, wanted: [] },
  ]) {
    it(`in ${JSON.stringify(text)}`, () => {
      assert.deepEqual(
        findImports(text)
          .map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? ' (type)' : ''}`)
          .sort(),
        wanted,
      );
    });
  }

  it('tells the line', () => assert.deepEqual(findImports(`// a\n\nimport './b.ts';`)[0]?.line, 3));

  it('resolves relative imports from the project top', () => {
    assert.equal(resolveImport('agent/rpc/x.ts', '../errors.ts'), 'agent/errors.ts');
    assert.equal(resolveImport('agent/rpc/x.ts', 'winston'), undefined);
  });

  it('names the package of a deep import', () => {
    assert.equal(packageOf('@grpc/grpc-js/build/src/x.js'), '@grpc/grpc-js');
    assert.equal(packageOf('winston/lib/x.js'), 'winston');
    assert.equal(packageOf('node:fs'), undefined);
    assert.equal(packageOf('#proto/x.js'), undefined);
  });
});
