/// The page at `/`: one types a few titles and sees what each part of the recommender makes of them. It needs nothing from
/// elsewhere; texts go into the page as texts.
let page = """
  <!DOCTYPE html>
  <html lang="en">
  <head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>Trestle</title>
  <style>
    body { font: 16px/1.45 system-ui, sans-serif; margin: 2.5rem auto; max-width: 68rem; padding: 0 1.2rem; color: #1c2430; background: #fbfaf7; }
    h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
    p.lead { margin: 0 0 1.4rem; color: #5b6573; }
    form { display: flex; gap: .6rem; flex-wrap: wrap; margin-bottom: .8rem; }
    input { flex: 1 1 20rem; font: inherit; padding: .55rem .8rem; border: 1px solid #c4c9d1; border-radius: .5rem; background: #fff; }
    button { font: inherit; padding: .5rem 1.1rem; border: 0; border-radius: .5rem; background: #1f5f8b; color: #fff; cursor: pointer; }
    .chips span { display: inline-block; background: #e3ecf3; border-radius: 1rem; padding: .2rem .8rem; margin: 0 .4rem .4rem 0; cursor: pointer; }
    .lists { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1.2rem; margin-top: 1.2rem; }
    section { background: #fff; border: 1px solid #e2e2dc; border-radius: .7rem; padding: 1rem 1.2rem; }
    h2 { font-size: 1.05rem; margin: 0 0 .6rem; }
    ol { margin: 0; padding-left: 1.4rem; }
    li { margin-bottom: .55rem; }
    .why { display: block; font-size: .84rem; color: #5b6573; }
    .note, .error { font-size: .88rem; color: #8a4b10; }
  </style>
  </head>
  <body>
  <h1>What next?</h1>
  <p class="lead">Type a few titles that you like. Three lists come out: by the recommender, by the language model that reads the texts, and by both.</p>
  <form id="form"><input id="title" list="titles" autocomplete="off" placeholder="A title" aria-label="A title"><datalist id="titles"></datalist><button>Add</button></form>
  <div class="chips" id="chips"></div>
  <div class="error" id="error"></div>
  <div class="lists" id="lists"></div>
  <script>
  const names = { fused: 'Both', domain: 'The recommender', language: 'The language model', popularity: 'What is popular' };
  const likes = new URLSearchParams(location.search).getAll('like');
  const get = id => document.getElementById(id);
  const element = (tag, text, parent, type) => { const e = document.createElement(tag); e.textContent = text; if (type) e.className = type; parent.append(e); return e; };
  async function show() {
    get('chips').replaceChildren(); get('error').textContent = '';
    likes.forEach((title, place) => { element('span', title + ' ×', get('chips')).onclick = () => { likes.splice(place, 1); show(); }; });
    if (!likes.length) return get('lists').replaceChildren();
    const sections = [], sources = new Set();
    for (const by of ['fused', 'domain', 'language']) {
      const body = JSON.stringify({ titles: likes, count: 8, reasons: 2, by });
      const response = await fetch('/recommend', { method: 'POST', body });
      const answer = await response.json();
      if (!response.ok) { get('error').textContent = answer.error; likes.pop(); get('chips').lastChild.remove(); return; }
      if (sources.has(answer.source)) continue;
      sources.add(answer.source);
      const section = document.createElement('section');
      element('h2', names[answer.source], section);
      if (answer.note) element('p', answer.note, section, 'note');
      const list = element('ol', '', section);
      for (const item of answer.items) {
        const line = element('li', item.title, list);
        if (item.reasons.length) element('span', 'because of ' + item.reasons.join('; '), line, 'why');
      }
      sections.push(section);
    }
    get('lists').replaceChildren(...sections);
  }
  get('title').oninput = async () => {
    const answer = await (await fetch('/titles?q=' + encodeURIComponent(get('title').value))).json();
    get('titles').replaceChildren(...answer.titles.map(title => { const o = document.createElement('option'); o.value = title; return o; }));
  };
  get('form').onsubmit = event => { event.preventDefault(); if (get('title').value) likes.push(get('title').value); get('title').value = ''; show(); };
  show();
  </script>
  </body>
  </html>
  """
