import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { html } from '../src/html.js';

describe('html', () => {
  const hostile = `<script>alert("x")</script> & 'y'`;
  const harmless = '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;y&#39;';
  for (const [what, made, expected] of [
    ['escapes text', html`<p>${hostile}</p>`, `<p>${harmless}</p>`],
    ['escapes attributes', html`<a title="${hostile}">`, `<a title="${harmless}">`],
    ['keeps what it made itself', html`<p>${html`<b>${'<'}</b>`}</p>`, '<p><b>&lt;</b></p>'],
    ['joins lists', html`${['<', html`<i>`]}`, '&lt;<i>'],
    ['leaves out what is not there', html`[${null}${undefined}${false}]`, '[]'],
    ['shows zero', html`${0}`, '0'],
    ['escapes what only looks like its own', html`${{ text: '<b>', toString: () => '<u>' }}`, '&lt;u&gt;'],
  ]) {
    it(what, () => assert.equal(String(made), expected));
  }
});
