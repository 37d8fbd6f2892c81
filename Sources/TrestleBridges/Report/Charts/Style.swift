/// The page's looks and the little script: hints near the pointer, and the same item found in both maps.
/// Without the script the page still has everything.
enum Style {
  static let sheet = colours + layout + tables + charts

  private static let colours = """
    :root{color-scheme:light dark;--page:#f6f6f2;--card:#fff;--ink:#1a1f26;--soft:#535d69;--line:#dfe1dc;--wash:#eeefe9;
    --domain:#0a62a8;--language:#b44a00;--fused:#007a5c;--reference:#67707b;--good:#00684f;--bad:#a3253b;
    --domain-wash:#e3eef8;--language-wash:#fbeadd;--fused-wash:#dff2eb;--shadow:0 1px 2px #1a1f2614,0 6px 20px #1a1f260a;
    --g0:#0072b2;--g1:#d55e00;--g2:#009e73;--g3:#c05a96;--g4:#d99200;--g5:#4aaee6;--g6:#3a3f47;--g7:#a9b0b7}
    @media (prefers-color-scheme:dark){:root{--page:#101318;--card:#191d24;--ink:#e9ebee;--soft:#a7b0bb;--line:#2e343d;
    --wash:#232830;--domain:#6cb4f2;--language:#f3a05f;--fused:#4ecba3;--reference:#98a2ae;--good:#5fd3ad;--bad:#ff8a98;
    --domain-wash:#17293b;--language-wash:#37251a;--fused-wash:#15312a;--shadow:0 1px 0 #ffffff08 inset;
    --g0:#3f97e0;--g1:#ff8548;--g2:#2fbf94;--g3:#e592c1;--g4:#f2c14b;--g5:#a5dbff;--g6:#f4f4f4;--g7:#6d7681}}
    .domain{--tone:var(--domain);--tone-wash:var(--domain-wash)}.language{--tone:var(--language);--tone-wash:var(--language-wash)}
    .fused{--tone:var(--fused);--tone-wash:var(--fused-wash)}.reference{--tone:var(--reference);--tone-wash:var(--wash)}

    """

  private static let layout = """
    *{box-sizing:border-box}html{scroll-behavior:smooth;scroll-padding-top:3.5rem;-webkit-text-size-adjust:100%}
    body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
    "Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
    .inner,main,.page-end{max-width:75rem;margin:0 auto;padding-inline:clamp(1rem,3vw,2rem)}
    .top{background:var(--card);border-bottom:1px solid var(--line);padding-block:clamp(1.5rem,4vw,3rem) 1.6rem}
    .brand{margin:0;display:flex;flex-wrap:wrap;gap:.6rem;align-items:center;font-weight:650}
    .brand span{color:var(--soft);font-weight:400}
    .logo{width:2.4rem;fill:none;stroke:var(--ink);stroke-width:1.8;stroke-linecap:round}
    h1{font-size:clamp(1.7rem,4.6vw,2.9rem);line-height:1.12;letter-spacing:-.02em;max-width:22ch;margin:1.1rem 0 1.6rem;
    text-wrap:balance}h1 em{font-style:normal;color:var(--tone)}
    h2{font-size:clamp(1.35rem,2.6vw,1.75rem);letter-spacing:-.01em;line-height:1.2;margin:0 0 .35rem}
    h3{font-size:1.06rem;line-height:1.3;margin:0 0 .5rem}h4{font-size:.92rem;margin:1rem 0 .4rem}
    h3 small,h4 small,legend small{font-weight:400;color:var(--soft);font-size:.86em;margin-left:.35em}
    .facts{display:flex;flex-wrap:wrap;gap:.9rem 2.6rem;margin:0}
    @media (max-width:44rem){.facts{display:grid;grid-template-columns:1fr 1fr;gap:.8rem 1.2rem}}
    .facts dt{color:var(--soft);font-size:.8rem}.facts dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums}
    nav{position:sticky;top:0;z-index:3;background:var(--page);border-bottom:1px solid var(--line)}
    nav .inner{display:flex;gap:1.3rem;overflow-x:auto;padding-block:.65rem;scrollbar-width:none}
    nav a{color:var(--soft);text-decoration:none;white-space:nowrap;font-size:.92rem}nav a:hover{color:var(--ink);text-decoration:underline}
    a{color:var(--domain)}:focus-visible{outline:3px solid var(--domain);outline-offset:2px;border-radius:4px}
    .skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;z-index:9;background:var(--card);padding:.5rem 1rem}
    main>section{padding-top:clamp(2.2rem,5vw,3.6rem)}
    .lede{color:var(--soft);max-width:68ch;margin:0 0 1.3rem}.faint{color:var(--soft)}
    .quiet{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
    thead.quiet{display:block}
    .badge{border:1px solid var(--language);color:var(--language)!important;border-radius:99px;padding:.05rem .7rem;font-size:.82rem}
    .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(19rem,100%),1fr));gap:1.1rem}
    .card{background:var(--card);border:1px solid var(--line);border-top:4px solid var(--tone);border-radius:12px;
    padding:1.1rem 1.25rem;box-shadow:var(--shadow);margin:0;min-width:0}
    .card.plain{border-top:1px solid var(--line)}
    .card p{margin:.15rem 0 .5rem}.big{font-size:2.3rem;font-weight:700;letter-spacing:-.03em;line-height:1.15;color:var(--tone)}
    .big span{font-size:1rem;font-weight:400;letter-spacing:0;color:var(--soft);white-space:nowrap}.against{color:var(--soft);font-size:.92rem}
    .pill{display:inline-block;border-radius:99px;padding:.1rem .7rem;font-size:.84rem;background:var(--wash);color:var(--soft);
    font-variant-numeric:tabular-nums}.pill.good{color:var(--good);background:var(--fused-wash)}
    .pill.bad{color:var(--bad);box-shadow:inset 0 0 0 1px var(--bad);background:none}
    .callout{margin-top:1.1rem;border-left:4px solid var(--language);background:var(--language-wash);border-radius:0 8px 8px 0;
    padding:.7rem 1.1rem}.callout p{margin:.1rem 0}
    .pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(27rem,100%),1fr));gap:1.1rem}
    .trio{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17.5rem,100%),1fr));gap:1.1rem}
    .plot{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1rem 1.1rem .6rem;box-shadow:var(--shadow)}
    .narrow{display:none}@media (max-width:44rem){.wide{display:none}.narrow{display:block}.card{padding:1rem .9rem}}
    fieldset{border:0;padding:0;margin:0 0 1.1rem;min-width:0}
    .tabs{display:none}
    @supports selector(:has(*)){.tabs{display:inline-flex;flex-wrap:wrap;gap:.25rem;background:var(--wash);border-radius:10px;padding:.25rem}
    .tabs input{position:absolute;opacity:0}.tabs span{display:block;padding:.38rem .95rem;border-radius:8px;cursor:pointer;color:var(--soft);font-size:.94rem}
    .tabs label:hover span{color:var(--ink)}.tabs input:checked+span{background:var(--card);color:var(--ink);font-weight:600;box-shadow:var(--shadow)}
    .tabs input:focus-visible+span{outline:3px solid var(--domain)}
    .tabbed:has(#slice-0:checked) .panel:not(.panel-0),.tabbed:has(#slice-1:checked) .panel:not(.panel-1),
    .tabbed:has(#slice-2:checked) .panel:not(.panel-2),.tabbed:has(#slice-3:checked) .panel:not(.panel-3),
    .tabbed:has(#slice-4:checked) .panel:not(.panel-4),.tabbed:has(#slice-5:checked) .panel:not(.panel-5){display:none}}
    .panel+.panel{margin-top:2rem}.panel>h3 small{display:block;margin:.1rem 0 .7rem}
    .legend{display:flex;flex-wrap:wrap;gap:.3rem .5rem}.legend legend{float:left;font-size:.92rem;color:var(--soft);padding:.3rem .5rem 0 0}
    .key{display:inline-flex;align-items:center;gap:.4rem;border:1px solid var(--line);background:var(--card);border-radius:99px;
    padding:.15rem .8rem .15rem .6rem;font-size:.9rem;cursor:pointer}.key:hover{border-color:var(--soft)}.key input{margin:0;accent-color:var(--domain)}
    .key:has(:checked){border-color:var(--ink);box-shadow:inset 0 0 0 1px var(--ink)}.key small{color:var(--soft)}
    .swatch{width:1rem;height:1rem;flex:none;overflow:visible}.swatch.line{width:2.1rem;height:.75rem}
    .keys{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.2rem;margin:0 0 .8rem;padding:0;font-size:.9rem;color:var(--soft)}
    .keys li{display:flex;align-items:center;gap:.5rem}figcaption h3{margin-bottom:.35rem}
    .person{margin-bottom:1.1rem}.history{list-style:none;display:flex;flex-wrap:wrap;gap:.35rem;margin:0;padding:0}
    .history li{background:var(--wash);border-radius:7px;padding:.1rem .6rem;font-size:.87rem}.history .more{background:none;color:var(--soft)}
    .lists{margin-top:1rem;gap:.4rem 1.6rem}.list{border-top:3px solid var(--tone);padding-top:.1rem}.list h4{margin-top:.5rem}
    .list ol{margin:0;padding-left:1.9rem;font-size:.92rem}.list li{padding:.12rem .4rem;border-radius:6px}.list li::marker{color:var(--soft);
    font-variant-numeric:tabular-nums}.reasons{max-width:46rem;margin-top:.8rem}.reasons li{padding:.2rem .4rem}.reasons small{display:block;color:var(--soft);font-weight:400;font-size:.86em}
    .hit{background:var(--tone-wash);font-weight:640}.check{color:var(--tone);font-weight:700;position:relative}
    .prose,.notes{max-width:74ch}.notes{padding-left:1.2rem}.notes li,.prose li{margin:.35rem 0}.prose h3{margin-top:1.4rem}.prose ul{padding-left:1.2rem}
    .page-end{color:var(--soft);font-size:.88rem;padding-block:3rem 2.5rem}details{margin-top:.8rem}summary{cursor:pointer;color:var(--soft)}
    #tip{position:fixed;z-index:10;max-width:20rem;pointer-events:none;background:var(--ink);color:var(--page);border-radius:8px;
    padding:.35rem .7rem;font-size:.85rem;line-height:1.35}
    @media print{nav,.tabs,.legend,.skip{display:none!important}.panel{display:block!important}.card,.plot{box-shadow:none;break-inside:avoid}}
    @media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}

    """

  private static let tables = """
    .scroll{overflow-x:auto;margin-top:1.1rem;border-radius:12px}
    table{border-collapse:collapse;font-variant-numeric:tabular-nums}
    .figures{width:100%;background:var(--card);border:1px solid var(--line);font-size:.92rem}
    .figures caption{text-align:left;color:var(--soft);font-size:.85rem;padding:0 0 .45rem}
    .figures th,.figures td{padding:.55rem .8rem;text-align:right;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}
    .figures th:first-child{text-align:left;position:sticky;left:0;background:var(--card);white-space:normal;min-width:9.5rem;font-weight:600;
    box-shadow:1px 0 0 var(--line)}
    .figures th[scope=row]:not(:first-child){text-align:left}.figures thead th{background:var(--wash)!important;font-size:.86rem;vertical-align:bottom}
    .figures small{display:block;color:var(--soft);font-weight:400;font-size:.85em}.figures tr:last-child>*{border-bottom:0}
    .figures tbody tr:hover>*{background:var(--wash)}.figures .best{font-weight:750}.figures .good{color:var(--good);font-weight:600}
    .figures .bad{color:var(--bad);font-weight:600}.figures .void{color:var(--soft)}
    .chip{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:var(--tone);margin-right:.5em}
    .chip.language{border-radius:2px}.chip.fused{border-radius:1px;transform:rotate(45deg)}
    .mini{width:100%;font-size:.87rem;margin-top:.4rem;position:relative}.mini th,.mini td{text-align:right;padding:.22rem 0 .22rem .5rem;border-top:1px solid var(--line)}
    .mini th{text-align:left;font-weight:400;color:var(--soft);padding-left:0}.mini td:last-child{color:var(--soft)}

    """

  private static let charts = """
    .chart{display:block;width:100%;height:auto;overflow:visible;font-family:inherit}.chart text{fill:var(--soft);font-size:11.5px;font-variant-numeric:tabular-nums}
    .chart .label{fill:var(--ink);font-size:13px}.chart .value{fill:var(--ink);font-size:13px;font-weight:650}
    .chart .heading{fill:var(--ink);font-size:15px;font-weight:700}.chart .heading.small{font-size:13px}
    .chart .halo{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
    .grid{stroke:var(--line);stroke-width:1}.rule{stroke:var(--soft);stroke-width:1}.catch{fill:transparent}
    .interval{stroke:var(--tone);stroke-width:2.2}.baseline{stroke:var(--ink);stroke-width:2}.reach{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3}
    .dot{fill:var(--tone);stroke:var(--card);stroke-width:1.5}.dot.hollow{fill:var(--card);stroke:var(--tone);stroke-width:2.4}
    .band.even{fill:var(--tone-wash);opacity:.75}.band.odd{fill:var(--wash);opacity:.55}.chart .phase{fill:var(--ink);font-size:11.5px;font-weight:600}
    .curve{fill:none;stroke:var(--tone);stroke-width:2.4;stroke-linejoin:round;stroke-linecap:round}.point{fill:var(--tone);stroke:none}
    .point.best{fill:var(--card);stroke:var(--tone);stroke-width:2.4}
    .series-1{--tone:var(--reference);stroke-dasharray:6 4}.series-2{--tone:var(--g3);stroke-dasharray:2 4}.series-3{--tone:var(--fused);stroke-dasharray:9 3 2 3}
    .series-4{--tone:var(--g4);stroke-dasharray:4 2}.series-5{--tone:var(--g6);stroke-dasharray:1 3}.point{stroke-dasharray:none!important}
    .map circle,.map path{fill-opacity:.78;stroke:var(--card);stroke-width:.6}
    .chart.map{border-radius:8px;background:var(--page);cursor:crosshair}
    .genre-0{fill:var(--g0)}.genre-1{fill:var(--g1)}.genre-2{fill:var(--g2)}.genre-3{fill:var(--g3)}.genre-4{fill:var(--g4)}.genre-5{fill:var(--g5)}
    .genre-6{fill:var(--g6)}.genre-7{fill:var(--g7)}
    .chart.map .twin{fill-opacity:1!important;stroke:var(--ink)!important;stroke-width:2.6!important;opacity:1!important}
    #space:has(#pick-0:checked) .chart [class^=genre]:not(.genre-0),#space:has(#pick-1:checked) .chart [class^=genre]:not(.genre-1),
    #space:has(#pick-2:checked) .chart [class^=genre]:not(.genre-2),#space:has(#pick-3:checked) .chart [class^=genre]:not(.genre-3),
    #space:has(#pick-4:checked) .chart [class^=genre]:not(.genre-4),#space:has(#pick-5:checked) .chart [class^=genre]:not(.genre-5),
    #space:has(#pick-6:checked) .chart [class^=genre]:not(.genre-6),#space:has(#pick-7:checked) .chart [class^=genre]:not(.genre-7){opacity:.09}
    .chart .lane{fill:var(--tone);font-size:13px;font-weight:700}.track{stroke:var(--tone);stroke-width:2;opacity:.45}
    .store{fill:var(--wash);stroke:var(--line)}.write{stroke:var(--tone);stroke-width:2.4}.arrow{fill:var(--tone)}
    .bar{fill:var(--tone)}.bar.users{fill-opacity:.38;stroke:var(--tone);stroke-width:1}
    .spread{fill:none;stroke:var(--ink);stroke-width:2}.spread.users{stroke:var(--soft);stroke-dasharray:5 4}.spread-dot{fill:var(--ink);stroke:var(--card);stroke-width:1.5}
    .spread-dot.users{fill:var(--soft)}.sample{width:1.6rem;height:.7rem;border-radius:2px;background:var(--soft)}
    .sample.users{background:none;border:1px solid var(--soft);background-image:linear-gradient(var(--wash),var(--wash))}

    """

  static let script = """
    (function(){
    var tip=document.getElementById('tip'),held=null,twins=[];
    function release(){if(held){held.title.textContent=held.text;held=null}tip.hidden=true;
    twins.forEach(function(t){t.classList.remove('twin')});twins=[]}
    function owner(n){for(;n&&n.nodeType===1&&n.localName!=='svg';n=n.parentNode){
    for(var c=n.firstElementChild;c;c=c.nextElementSibling)if(c.localName==='title')return{node:n,title:c}}return null}
    function move(e){var w=tip.offsetWidth,h=tip.offsetHeight,x=e.clientX+14,y=e.clientY+16;
    if(x+w>innerWidth-8)x=Math.max(8,e.clientX-w-12);if(y+h>innerHeight-8)y=Math.max(8,e.clientY-h-12);
    tip.style.left=x+'px';tip.style.top=y+'px'}
    document.addEventListener('pointerover',function(e){
    var o=e.target.closest&&e.target.closest('.chart')?owner(e.target):null;
    if(held&&o&&o.title===held.title)return;release();if(!o)return;
    held={title:o.title,text:o.title.textContent};o.title.textContent='';tip.textContent=held.text;tip.hidden=false;move(e);
    if(o.node.closest('.map')){var i=[].indexOf.call(o.node.parentNode.children,o.node);
    twins=[].map.call(o.node.closest('.pair').querySelectorAll('.chart.map'),function(m){return m.children[i]}).filter(Boolean);
    twins.forEach(function(t){t.classList.add('twin')})}});
    document.addEventListener('pointermove',function(e){if(held)move(e)});
    document.addEventListener('pointerleave',release);document.addEventListener('scroll',release,true);
    })();
    """
}
